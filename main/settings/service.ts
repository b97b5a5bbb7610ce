/** What the user set. Only values that differ from the default are stored. */
import type Database from 'better-sqlite3';
import type { StudioHandlers } from '../../contract/index.ts';
import { defaultSettings, settingsSchema } from '../../contract/settings.ts';
import type { Settings } from '../../contract/settings.ts';
import type { EventBus } from '../events.ts';

export interface SettingsServiceOptions {
  readonly db: Database.Database;
  readonly bus: EventBus;
}

export class SettingsService {
  readonly handlers: StudioHandlers['settings'];
  readonly #db: Database.Database;
  readonly #bus: EventBus;
  #settings: Settings;

  constructor({ db, bus }: SettingsServiceOptions) {
    this.#db = db;
    this.#bus = bus;
    this.#settings = readSettings(db);
    this.handlers = {
      get: () => this.get(),
      update: ({ patch }) => this.update(patch),
      reset: () => this.#reset(),
    };
  }

  get(): Settings {
    return this.#settings;
  }

  update(patch: { readonly [Key in keyof Settings]?: Settings[Key] | undefined }): Settings {
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    const write = this.#db.prepare('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)');
    this.#db.transaction(() => {
      for (const [key, value] of Object.entries(given)) write.run(key, JSON.stringify(value));
    })();
    return this.#changed({ ...this.#settings, ...given });
  }

  #reset(): Settings {
    this.#db.prepare('DELETE FROM settings').run();
    return this.#changed(defaultSettings);
  }

  #changed(settings: Settings): Settings {
    this.#settings = settings;
    this.#bus.publish({ type: 'settings', settings });
    return settings;
  }
}

/** A stored value that is not valid any more falls back to its default; the others stay. */
function readSettings(db: Database.Database): Settings {
  const rows = db.prepare<[], { key: string; value: string }>('SELECT key, value FROM settings').all();
  const stored = new Map(rows.map(({ key, value }) => [key, value]));
  const settings: Record<string, unknown> = { ...defaultSettings };
  for (const [key, schema] of Object.entries(settingsSchema.shape)) {
    const text = stored.get(key);
    if (text === undefined) continue;
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) settings[key] = parsed.data;
  }
  return settingsSchema.parse(settings);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
