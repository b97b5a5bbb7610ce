/** The `app` group of the contract: what host this is, what changed, how the data is. */
import type { AppEvent } from '../../contract/app.ts';
import { LutraError } from '../../contract/errors.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Engine } from '../engine/engine.ts';
import type { EventBus } from '../events.ts';
import type { Host } from '../host.ts';
import type { SettingsService } from '../settings/service.ts';
import type { Store } from '../store/store.ts';
import { EventQueue } from './event-queue.ts';
import { safeExternalUrl } from './security.ts';

export interface AppServiceOptions {
  readonly host: Host;
  readonly dataFolder: string;
  readonly store: Store;
  readonly engine: Engine;
  readonly settings: SettingsService;
  readonly bus: EventBus;
  /** Puts a backup in place and opens the studio again. Every connection ends. */
  readonly restoreBackup: (name: string) => Promise<void>;
}

export class AppService {
  readonly handlers: StudioHandlers['app'];
  readonly #options: AppServiceOptions;

  constructor(options: AppServiceOptions) {
    this.#options = options;
    const { host, dataFolder, store } = options;
    this.handlers = {
      info: () => ({
        version: host.version,
        host: host.kind,
        platform: process.platform === 'win32' || process.platform === 'darwin' ? process.platform : 'linux',
        dataFolder,
        canPickFiles: host.pickFiles !== null,
      }),
      events: (_input, { signal }) => this.#events(signal),
      openExternal: async ({ url }) => {
        await this.#openExternal(url);
        return {};
      },
      health: () => store.health(),
      restoreBackup: async ({ name }) => {
        await options.restoreBackup(name);
        return {};
      },
      backupNow: async () => ({ name: await store.backup() }),
    };
  }

  async *#events(signal: AbortSignal): AsyncGenerator<AppEvent, void, undefined> {
    const { bus, engine, settings } = this.#options;
    const queue = new EventQueue();
    // Someone looks: the engine starts and tests itself, so that its device and health can be shown.
    engine.report().catch(() => undefined);
    queue.push({ type: 'settings', settings: settings.get() });
    queue.push({ type: 'engine', status: engine.status() });
    const ends = [
      bus.subscribe((event) => queue.push(event)),
      engine.onStatus((status) => queue.push({ type: 'engine', status })),
    ];
    try {
      yield* queue.read(signal);
    } finally {
      for (const end of ends) end();
    }
  }

  async #openExternal(url: string): Promise<void> {
    const safe = safeExternalUrl(url);
    if (safe === null) {
      throw new LutraError({
        code: 'bad-input',
        message: 'Only web addresses (http and https) are opened.',
        subject: 'url',
      });
    }
    const open = this.#options.host.openExternal;
    if (open === null) {
      throw new LutraError({
        code: 'not-supported',
        message: 'This host has no browser of its own.',
        hint: 'Copy the address and open it yourself.',
      });
    }
    await open(safe);
  }
}
