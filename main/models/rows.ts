/** The `models` table. */
import type Database from 'better-sqlite3';
import type { Inspection } from '../engine/protocol.ts';

export interface ModelRow {
  readonly id: string;
  readonly path: string;
  readonly inspection: string;
  readonly size_bytes: number;
  readonly modified_at: number;
  readonly is_demo: number;
  readonly added_at: number;
}

export interface NewModel {
  readonly id: string;
  readonly path: string;
  readonly inspection: Inspection;
  readonly sizeBytes: number;
  readonly modifiedAt: number;
  readonly isDemo: boolean;
  readonly addedAt: number;
}

export class ModelRows {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** In the order they were added; removed ones left out. */
  all(): ModelRow[] {
    return this.#db
      .prepare<[], ModelRow>('SELECT * FROM models WHERE deleted_at IS NULL ORDER BY added_at, rowid')
      .all();
  }

  get(id: string): ModelRow | null {
    return (
      this.#db.prepare<[string], ModelRow>('SELECT * FROM models WHERE id = ? AND deleted_at IS NULL').get(id) ?? null
    );
  }

  /** A path that is known keeps its id, so that conversations keep their model. */
  put({ id, path, inspection, sizeBytes, modifiedAt, isDemo, addedAt }: NewModel): ModelRow {
    const row = this.#db
      .prepare<[string, string, string, number, number, number, number], ModelRow>(
        `INSERT INTO models (id, path, inspection, size_bytes, modified_at, is_demo, added_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (path) DO UPDATE SET inspection = excluded.inspection, size_bytes = excluded.size_bytes,
           modified_at = excluded.modified_at, is_demo = excluded.is_demo, deleted_at = NULL
         RETURNING *`,
      )
      .get(id, path, JSON.stringify(inspection), sizeBytes, modifiedAt, isDemo ? 1 : 0, addedAt);
    if (row === undefined) throw new Error('The model was not written.');
    return row;
  }

  /** Those that came with Lutra, hidden ones too. */
  demos(): (ModelRow & { readonly deleted_at: number | null })[] {
    return this.#db
      .prepare<[], ModelRow & { deleted_at: number | null }>('SELECT * FROM models WHERE is_demo = 1')
      .all();
  }

  /** The same model lies elsewhere now. */
  move(id: string, path: string): void {
    this.#db.prepare('DELETE FROM models WHERE path = ? AND id <> ?').run(path, id);
    this.#db.prepare('UPDATE models SET path = ? WHERE id = ?').run(path, id);
  }

  remove(id: string): void {
    this.#db.prepare('UPDATE models SET deleted_at = ? WHERE id = ?').run(Date.now(), id);
  }

  restore(id: string): ModelRow | null {
    this.#db.prepare('UPDATE models SET deleted_at = NULL WHERE id = ?').run(id);
    return this.get(id);
  }
}
