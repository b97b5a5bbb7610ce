/** The composition root: builds the services once, for every entry point. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { contract } from '../contract/index.ts';
import type { StudioHandlers } from '../contract/index.ts';
import { serve } from '../contract/rpc/server.ts';
import type { Transport } from '../contract/rpc/transport.ts';
import { AppService } from './app/service.ts';
import { AudioService } from './audio/service.ts';
import { CaptionService } from './caption/service.ts';
import { ChatService } from './chat/service.ts';
import type { Engine } from './engine/engine.ts';
import { EngineSupervisor } from './engine/supervisor.ts';
import { EventBus } from './events.ts';
import { FilesService } from './files/service.ts';
import type { Host } from './host.ts';
import { JobsService } from './jobs/service.ts';
import { ModelsService } from './models/service.ts';
import { SettingsService } from './settings/service.ts';
import { openStore } from './store/store.ts';
import type { Store } from './store/store.ts';

export interface StudioOptions {
  readonly host: Host;
  readonly dataFolder: string;
  /** The demo models that come with the studio, and `samples` to try them on. */
  readonly demosFolder?: string | null;
  /** See `SupervisorOptions`; for tests on a busy machine. */
  readonly stopPatienceMs?: number;
}

/** Everything that lives as long as the database is open. */
interface Parts {
  readonly store: Store;
  readonly engine: Engine;
  readonly settings: SettingsService;
  readonly files: FilesService;
  readonly jobs: JobsService;
  readonly models: ModelsService;
  readonly chat: ChatService;
  readonly audio: AudioService;
  readonly caption: CaptionService;
  readonly handlers: StudioHandlers;
  readonly bus: EventBus;
}

export class Studio {
  readonly #options: StudioOptions;
  readonly #connections = new Set<() => void>();
  #parts: Parts;

  private constructor(options: StudioOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Opens the data folder. Fails with `conflict` when another studio has it, with `database` when it is damaged. */
  static async open(options: StudioOptions): Promise<Studio> {
    const holder: { studio: Studio | null } = { studio: null };
    const restore = async (name: string): Promise<void> => holder.studio?.restoreBackup(name);
    const studio = new Studio(options, await openParts(options, restore));
    holder.studio = studio;
    return studio;
  }

  get engine(): Engine {
    return this.#parts.engine;
  }

  get files(): FilesService {
    return this.#parts.files;
  }

  get models(): ModelsService {
    return this.#parts.models;
  }

  health(): ReturnType<Store['health']> {
    return this.#parts.store.health();
  }

  get settings(): SettingsService {
    return this.#parts.settings;
  }

  /** Answers a page's requests until its transport closes. Returns a function that ends the connection. */
  serve(transport: Transport, connectionId: string): () => void {
    const stop = serve(contract, this.#parts.handlers, transport, connectionId);
    const cancelRequests = transport.onClose;
    const end = (): void => {
      this.#connections.delete(end);
      stop();
    };
    this.#connections.add(end);
    transport.onClose = (reason) => {
      this.#connections.delete(end);
      cancelRequests?.(reason);
    };
    return end;
  }

  /** Ends every connection, puts the backup in place and opens the data again. Pages connect anew. */
  async restoreBackup(name: string): Promise<void> {
    const { store } = this.#parts;
    await store.prepareRestore(name);
    for (const end of this.#connections) end();
    await disposeParts(this.#parts);
    await store.finishRestore(name);
    this.#parts = await openParts(this.#options, (next) => this.restoreBackup(next));
  }

  async dispose(): Promise<void> {
    for (const end of this.#connections) end();
    await disposeParts(this.#parts);
  }
}

/** See `Studio.open`. */
export function createStudio(options: StudioOptions): Promise<Studio> {
  return Studio.open(options);
}

async function openParts(
  { host, dataFolder, demosFolder = null, stopPatienceMs }: StudioOptions,
  restoreBackup: (name: string) => Promise<void>,
): Promise<Parts> {
  const store = await openStore(dataFolder);
  const { db } = store;
  const bus = new EventBus();
  const settings = new SettingsService({ db, bus });
  const engine = new EngineSupervisor({
    spawn: host.spawnEngine,
    unloadAfterMinutes: () => settings.get().unloadAfterMinutes,
    device: () => settings.get().device,
    ...(stopPatienceMs === undefined ? {} : { stopPatienceMs }),
  });
  const files = new FilesService({
    db,
    host,
    sessionId: randomUUID(),
    importsFolder: join(dataFolder, 'imports'),
    samplesFolder: demosFolder === null ? null : join(demosFolder, 'samples'),
  });
  const jobs = new JobsService({ db, bus });
  const modelsFolder = join(dataFolder, 'models');
  const models = new ModelsService({ db, engine, files, jobs, settings, bus, modelsFolder, demosFolder });
  const chat = new ChatService({ db, engine, models, settings, bus });
  const audio = new AudioService({ db, engine, models, files, settings, bus, folder: join(dataFolder, 'audio') });
  const caption = new CaptionService({
    db,
    engine,
    models,
    files,
    jobs,
    settings,
    thumbnailsFolder: join(dataFolder, 'thumbnails'),
  });
  const app = new AppService({ host, dataFolder, store, engine, settings, bus, restoreBackup });
  const handlers: StudioHandlers = {
    app: app.handlers,
    audio: audio.handlers,
    caption: caption.handlers,
    chat: chat.handlers,
    engine: {
      status: () => engine.status(),
      restart: async () => {
        await engine.restart();
        return {};
      },
      unload: async () => {
        await engine.unload();
        return {};
      },
    },
    files: files.handlers,
    jobs: jobs.handlers,
    models: models.handlers,
    settings: settings.handlers,
  };
  return { store, engine, settings, files, jobs, models, chat, audio, caption, handlers, bus };
}

/** In the order of dependence: what uses the engine or the store ends before them. */
async function disposeParts({ chat, audio, jobs, engine, store }: Parts): Promise<void> {
  await audio.dispose();
  await chat.dispose();
  await jobs.dispose();
  await engine.dispose();
  await store.dispose();
}
