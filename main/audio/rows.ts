/** The `audio_takes` table. */
import type Database from 'better-sqlite3';
import { audioSettingsSchema } from '../../contract/audio.ts';
import type { AudioSettings, AudioTake } from '../../contract/audio.ts';

interface TakeRow {
  readonly id: string;
  readonly parent_id: string | null;
  readonly name: string;
  readonly file_name: string;
  readonly model_name: string;
  readonly prompt: string;
  readonly seed: number;
  readonly settings: string;
  readonly seconds: number;
  readonly sample_rate_hz: number;
  readonly channels: number;
  readonly is_starred: number;
  readonly created_at: number;
}

export interface NewTake {
  readonly id: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly fileName: string;
  readonly modelName: string;
  readonly settings: AudioSettings;
  readonly seed: number;
  readonly seconds: number;
  readonly sampleRate: number;
  readonly channels: number;
}

export class AudioRows {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Newest first; removed ones left out. */
  all(): AudioTake[] {
    return this.#db
      .prepare<[], TakeRow>('SELECT * FROM audio_takes WHERE deleted_at IS NULL ORDER BY created_at DESC, rowid DESC')
      .all()
      .map(takeOf);
  }

  get(id: string): { take: AudioTake; fileName: string } | null {
    const row = this.#db
      .prepare<[string], TakeRow>('SELECT * FROM audio_takes WHERE id = ? AND deleted_at IS NULL')
      .get(id);
    return row === undefined ? null : { take: takeOf(row), fileName: row.file_name };
  }

  add(take: NewTake): AudioTake {
    this.#db
      .prepare(
        `INSERT INTO audio_takes (id, parent_id, name, file_name, model_name, prompt, seed, settings, seconds,
           sample_rate_hz, channels, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        take.id,
        take.parentId,
        take.name,
        take.fileName,
        take.modelName,
        take.settings.prompt,
        take.seed,
        JSON.stringify(take.settings),
        take.seconds,
        take.sampleRate,
        take.channels,
        Date.now(),
      );
    const added = this.get(take.id);
    if (added === null) throw new Error('The take was not written.');
    return added.take;
  }

  rename(id: string, name: string): void {
    this.#db.prepare('UPDATE audio_takes SET name = ? WHERE id = ?').run(name, id);
  }

  star(id: string, isStarred: boolean): void {
    this.#db.prepare('UPDATE audio_takes SET is_starred = ? WHERE id = ?').run(isStarred ? 1 : 0, id);
  }

  remove(id: string): void {
    this.#db.prepare('UPDATE audio_takes SET deleted_at = ? WHERE id = ?').run(Date.now(), id);
  }

  restore(id: string): void {
    this.#db.prepare('UPDATE audio_takes SET deleted_at = NULL WHERE id = ?').run(id);
  }
}

function takeOf(row: TakeRow): AudioTake {
  return {
    id: row.id,
    parentId: row.parent_id,
    name: row.name,
    modelName: row.model_name,
    prompt: row.prompt,
    seed: row.seed,
    settings: audioSettingsSchema.parse(JSON.parse(row.settings)),
    seconds: row.seconds,
    sampleRate: row.sample_rate_hz,
    channels: row.channels,
    isStarred: row.is_starred === 1,
    createdAt: row.created_at,
  };
}
