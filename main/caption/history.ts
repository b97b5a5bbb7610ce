/** What a person did to captions, so that it can be taken back and done again. */
import type Database from 'better-sqlite3';
import type { z } from 'zod';
import type { CaptionSummary, captionStepSchema } from '../../contract/caption.ts';
import type { CaptionRow } from './rows.ts';

export type CaptionStep = z.infer<typeof captionStepSchema>;

/** The parts of an item that a step may change. */
type Snapshot = Pick<
  CaptionRow,
  'state' | 'is_locked' | 'text' | 'segments' | 'error' | 'note' | 'model_name' | 'prompt' | 'deleted_at'
>;

interface StepRow {
  readonly id: number;
  readonly step: CaptionStep;
}

interface StepItemRow {
  readonly caption_id: string;
  readonly before: string;
  readonly after: string | null;
}

const mostSteps = 200;

export class CaptionHistory {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Does `change` to each of the rows and keeps how they were. All of it happens, or nothing. */
  record(step: CaptionStep, rows: readonly CaptionRow[], change: (row: CaptionRow) => void): void {
    if (rows.length === 0) return;
    this.#together(() => {
      // A new step ends what could have been done again.
      this.#db.prepare('DELETE FROM caption_steps WHERE is_undone = 1').run();
      const { lastInsertRowid } = this.#db
        .prepare('INSERT INTO caption_steps (step, created_at) VALUES (?, ?)')
        .run(step, Date.now());
      const keep = this.#db.prepare('INSERT INTO caption_step_items (step_id, caption_id, before) VALUES (?, ?, ?)');
      for (const row of rows) {
        keep.run(lastInsertRowid, row.id, JSON.stringify(snapshotOf(row)));
        change(row);
      }
      this.#db.prepare('DELETE FROM caption_steps WHERE id <= (SELECT max(id) FROM caption_steps) - ?').run(mostSteps);
    });
  }

  /** The ids it changed; null where there is nothing to undo. */
  undo(): string[] | null {
    return this.#turn(0, 1);
  }

  redo(): string[] | null {
    return this.#turn(1, 0);
  }

  /** What `undo` and `redo` would do. */
  ends(): Pick<CaptionSummary, 'undo' | 'redo'> {
    const describe = (row: StepRow | undefined): CaptionSummary['undo'] => {
      if (row === undefined) return null;
      const counted = this.#db
        .prepare<[number], { n: number }>('SELECT count(*) AS n FROM caption_step_items WHERE step_id = ?')
        .get(row.id);
      return { step: row.step, items: counted?.n ?? 0 };
    };
    return { undo: describe(this.#end(0)), redo: describe(this.#end(1)) };
  }

  /** The last step that was done, or the first that was undone. */
  #end(isUndone: 0 | 1): StepRow | undefined {
    return this.#db
      .prepare<[number], StepRow>(
        `SELECT id, step FROM caption_steps WHERE is_undone = ? ORDER BY id ${isUndone === 0 ? 'DESC' : 'ASC'} LIMIT 1`,
      )
      .get(isUndone);
  }

  #turn(from: 0 | 1, to: 0 | 1): string[] | null {
    return this.#together(() => {
      const step = this.#end(from);
      if (step === undefined) return null;
      const items = this.#db
        .prepare<[number], StepItemRow>('SELECT caption_id, before, after FROM caption_step_items WHERE step_id = ?')
        .all(step.id);
      const find = this.#db.prepare<[string], CaptionRow>('SELECT * FROM captions WHERE id = ?');
      const keep = this.#db.prepare(
        `UPDATE caption_step_items SET ${to === 1 ? 'after' : 'before'} = ? WHERE step_id = ? AND caption_id = ?`,
      );
      const changed: string[] = [];
      for (const { caption_id: id, before, after } of items) {
        const now = find.get(id);
        const wanted = to === 1 ? before : after;
        if (now === undefined || wanted === null) continue;
        // How it is now, not how it was then: what came in between is not lost by going back and forth.
        keep.run(JSON.stringify(snapshotOf(now)), step.id, id);
        if (this.#restore(id, JSON.parse(wanted) as Snapshot)) changed.push(id);
      }
      this.#db.prepare('UPDATE caption_steps SET is_undone = ? WHERE id = ?').run(to, step.id);
      return changed;
    });
  }

  /** False where the file was added anew in between. */
  #restore(id: string, snapshot: Snapshot): boolean {
    const { changes } = this.#db
      .prepare(
        `UPDATE OR IGNORE captions SET state = ?, is_locked = ?, text = ?, segments = ?, error = ?, note = ?,
           model_name = ?, prompt = ?, deleted_at = ?, job_id = NULL, updated_at = ? WHERE id = ?`,
      )
      .run(
        snapshot.state,
        snapshot.is_locked,
        snapshot.text,
        snapshot.segments,
        snapshot.error,
        snapshot.note,
        snapshot.model_name,
        snapshot.prompt,
        snapshot.deleted_at,
        Date.now(),
        id,
      );
    return changes > 0;
  }

  #together<T>(work: () => T): T {
    return this.#db.transaction(work).immediate();
  }
}

/** What was running by then waits again. */
function snapshotOf(row: CaptionRow): Snapshot {
  return {
    state: row.state === 'running' ? 'waiting' : row.state,
    is_locked: row.is_locked,
    text: row.text,
    segments: row.segments,
    error: row.error,
    note: row.note,
    model_name: row.model_name,
    prompt: row.prompt,
    deleted_at: row.deleted_at,
  };
}
