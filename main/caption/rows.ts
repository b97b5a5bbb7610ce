/** The `captions` table. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { captionSegmentSchema } from '../../contract/caption.ts';
import type {
  CaptionCounts,
  CaptionFilter,
  CaptionItem,
  CaptionKind,
  CaptionNote,
  CaptionSegment,
  CaptionState,
} from '../../contract/caption.ts';
import { errorDataSchema } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';

export interface CaptionRow {
  readonly id: string;
  readonly position: number;
  readonly path: string;
  readonly folder: string;
  readonly name: string;
  readonly kind: CaptionKind;
  readonly state: CaptionState;
  readonly is_locked: number;
  readonly text: string;
  readonly segments: string;
  readonly error: string | null;
  readonly note: CaptionNote;
  readonly model_name: string;
  readonly prompt: string;
  readonly width: number | null;
  readonly height: number | null;
  readonly seconds: number | null;
  readonly tags: string;
  readonly job_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at: number | null;
}

export interface NewCaption {
  readonly path: string;
  readonly folder: string;
  readonly name: string;
  readonly kind: CaptionKind;
  readonly tags: string;
  /** A caption that it brings along. */
  readonly text: string | null;
}

/** What a captioned item gets. */
export interface Written {
  readonly text: string;
  readonly segments: CaptionSegment[];
  readonly note: CaptionNote;
  readonly modelName: string;
  readonly prompt: string;
}

export interface MediaFacts {
  readonly width: number;
  readonly height: number;
  readonly seconds: number | null;
}

const segmentsSchema = z.array(captionSegmentSchema);

export class CaptionRows {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Returns the new ones' ids; a path that is in the list already is left out. */
  add(items: readonly NewCaption[]): string[] {
    const insert = this.#db.prepare(
      `INSERT INTO captions (id, position, path, folder, name, kind, state, text, tags, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    const now = Date.now();
    return this.#together(() => {
      const last = this.#db.prepare<[], { at: number | null }>('SELECT max(position) AS at FROM captions').get();
      let next = (last?.at ?? -1) + 1;
      const added: string[] = [];
      for (const { path, folder, name, kind, tags, text } of items) {
        const id = randomUUID();
        const state = text === null ? 'waiting' : 'edited';
        const { changes } = insert.run(id, next, path, folder, name, kind, state, text ?? '', tags, now, now);
        if (changes === 0) continue;
        next += 1;
        added.push(id);
      }
      return added;
    });
  }

  /** Removed ones, too. */
  row(id: string): CaptionRow | null {
    return this.#db.prepare<[string], CaptionRow>('SELECT * FROM captions WHERE id = ?').get(id) ?? null;
  }

  /** Null for what is not in the list. */
  get(id: string): CaptionRow | null {
    const row = this.row(id);
    return row === null || row.deleted_at !== null ? null : row;
  }

  /** Those of them that are in the list, in its order; null: all. */
  many(ids: readonly string[] | null): CaptionRow[] {
    if (ids === null)
      return this.#db
        .prepare<[], CaptionRow>('SELECT * FROM captions WHERE deleted_at IS NULL ORDER BY position')
        .all();
    const one = this.#db.prepare<[string], CaptionRow>('SELECT * FROM captions WHERE id = ? AND deleted_at IS NULL');
    return ids
      .map((id) => one.get(id))
      .filter((row) => row !== undefined)
      .sort((a, b) => a.position - b.position);
  }

  list(filter: CaptionFilter, offset: number, limit: number): { total: number; items: CaptionItem[] } {
    const { where, values } = conditionOf(filter);
    const counted = this.#db
      .prepare<unknown[], { n: number }>(`SELECT count(*) AS n FROM captions WHERE ${where}`)
      .get(...values);
    const rows = this.#db
      .prepare<unknown[], CaptionRow>(`SELECT * FROM captions WHERE ${where} ORDER BY position LIMIT ? OFFSET ?`)
      .all(...values, limit, offset);
    return { total: counted?.n ?? 0, items: rows.map(itemOf) };
  }

  ids(filter: CaptionFilter): string[] {
    const { where, values } = conditionOf(filter);
    return this.#db
      .prepare<unknown[], { id: string }>(`SELECT id FROM captions WHERE ${where} ORDER BY position`)
      .all(...values)
      .map(({ id }) => id);
  }

  counts(): CaptionCounts {
    const rows = this.#db
      .prepare<[], { state: CaptionState; n: number; locked: number }>(
        'SELECT state, count(*) AS n, sum(is_locked) AS locked FROM captions WHERE deleted_at IS NULL GROUP BY state',
      )
      .all();
    const counts = { all: 0, waiting: 0, running: 0, done: 0, edited: 0, failed: 0, locked: 0 };
    for (const { state, n, locked } of rows) {
      counts.all += n;
      counts[state] += n;
      counts.locked += locked;
    }
    return counts;
  }

  setText(id: string, text: string, segments: readonly CaptionSegment[]): void {
    this.#db
      .prepare(
        "UPDATE captions SET text = ?, segments = ?, state = 'edited', error = NULL, job_id = NULL, updated_at = ? WHERE id = ?",
      )
      .run(text, JSON.stringify(segments), Date.now(), id);
  }

  lock(id: string, isLocked: boolean): void {
    this.#db.prepare('UPDATE captions SET is_locked = ? WHERE id = ?').run(isLocked ? 1 : 0, id);
  }

  /** Back to where nothing was written. */
  clear(id: string): void {
    this.#db
      .prepare(
        `UPDATE captions SET state = 'waiting', text = '', segments = '[]', error = NULL, note = '', model_name = '',
           prompt = '', updated_at = ? WHERE id = ?`,
      )
      .run(Date.now(), id);
  }

  remove(id: string): void {
    this.#db.prepare('UPDATE captions SET deleted_at = ?, job_id = NULL WHERE id = ?').run(Date.now(), id);
  }

  setFacts(id: string, { width, height, seconds }: MediaFacts): void {
    this.#db
      .prepare('UPDATE captions SET width = ?, height = ?, seconds = ? WHERE id = ?')
      .run(width, height, seconds, id);
  }

  /** What ran when the studio last ended waits again; what was removed and cannot be had back any more goes. */
  settle(): void {
    this.#db.prepare("UPDATE captions SET state = 'waiting' WHERE state = 'running'").run();
    this.#db
      .prepare(
        'DELETE FROM captions WHERE deleted_at IS NOT NULL AND id NOT IN (SELECT caption_id FROM caption_step_items)',
      )
      .run();
  }

  /** They wait in that batch, each with the caption it has until there is a new one. */
  enqueue(ids: readonly string[], jobId: string): void {
    const one = this.#db.prepare(
      "UPDATE captions SET state = 'waiting', job_id = ?, error = NULL WHERE id = ? AND state <> 'running'",
    );
    this.#together(() => {
      for (const id of ids) one.run(jobId, id);
    });
  }

  /** How many of a batch are still to be done. */
  pending(jobId: string): number {
    const counted = this.#db
      .prepare<[string], { n: number }>(
        `SELECT count(*) AS n FROM captions
         WHERE job_id = ? AND state IN ('waiting', 'running') AND is_locked = 0 AND deleted_at IS NULL`,
      )
      .get(jobId);
    return counted?.n ?? 0;
  }

  /** The next of a batch, which runs from now on; null where none is left. */
  claim(jobId: string): CaptionRow | null {
    return (
      this.#db
        .prepare<[string], CaptionRow>(
          `UPDATE captions SET state = 'running' WHERE id = (
             SELECT id FROM captions WHERE job_id = ? AND state = 'waiting' AND is_locked = 0 AND deleted_at IS NULL
             ORDER BY position LIMIT 1) RETURNING *`,
        )
        .get(jobId) ?? null
    );
  }

  /** False where a person locked, edited or removed it meanwhile: then theirs stays. */
  finish(id: string, { text, segments, note, modelName, prompt }: Written): boolean {
    const { changes } = this.#db
      .prepare(
        `UPDATE captions SET state = 'done', text = ?, segments = ?, note = ?, model_name = ?, prompt = ?, error = NULL,
           job_id = NULL, updated_at = ? WHERE id = ? AND state = 'running' AND is_locked = 0 AND deleted_at IS NULL`,
      )
      .run(text, JSON.stringify(segments), note, modelName, prompt, Date.now(), id);
    if (changes === 0) this.release(id);
    return changes > 0;
  }

  fail(id: string, error: ErrorData): void {
    const { changes } = this.#db
      .prepare(
        `UPDATE captions SET state = 'failed', error = ?, job_id = NULL, updated_at = ?
         WHERE id = ? AND state = 'running' AND is_locked = 0 AND deleted_at IS NULL`,
      )
      .run(JSON.stringify(error), Date.now(), id);
    if (changes === 0) this.release(id);
  }

  /** Nothing came of it; it waits. */
  release(id: string): void {
    this.#db.prepare("UPDATE captions SET state = 'waiting' WHERE id = ? AND state = 'running'").run(id);
  }

  #together<T>(work: () => T): T {
    return this.#db.transaction(work).immediate();
  }
}

function conditionOf({ state, search }: CaptionFilter): { where: string; values: unknown[] } {
  const parts = ['deleted_at IS NULL'];
  const values: unknown[] = [];
  if (state === 'locked') parts.push('is_locked = 1');
  else if (state !== 'all') {
    parts.push('state = ?');
    values.push(state);
  }
  for (const word of search.normalize('NFC').split(/\s+/u)) {
    if (word === '') continue;
    parts.push("(name LIKE ? ESCAPE '\\' OR folder LIKE ? ESCAPE '\\' OR text LIKE ? ESCAPE '\\')");
    const pattern = `%${word.replaceAll(/[\\%_]/g, '\\$&')}%`;
    values.push(pattern, pattern, pattern);
  }
  return { where: parts.join(' AND '), values };
}

export function segmentsOf(row: Pick<CaptionRow, 'segments'>): CaptionSegment[] {
  const parsed = segmentsSchema.safeParse(JSON.parse(row.segments));
  return parsed.success ? parsed.data : [];
}

export function errorOf(row: Pick<CaptionRow, 'error'>): ErrorData | null {
  const parsed = row.error === null ? null : errorDataSchema.safeParse(JSON.parse(row.error));
  return parsed?.success === true ? parsed.data : null;
}

export function itemOf(row: CaptionRow): CaptionItem {
  return {
    id: row.id,
    name: row.name,
    folder: row.folder,
    kind: row.kind,
    state: row.state,
    isLocked: row.is_locked === 1,
    text: row.text,
    segments: segmentsOf(row),
    error: errorOf(row),
    note: row.note,
    modelName: row.model_name,
    prompt: row.prompt,
    width: row.width,
    height: row.height,
    seconds: row.seconds,
    tags: row.tags,
    updatedAt: row.updated_at,
  };
}
