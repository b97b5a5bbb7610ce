/** The list of pictures and clips as a person works on it: adding, editing, locking, replacing, and taking back. */
import type Database from 'better-sqlite3';
import type { z } from 'zod';
import type {
  CaptionBatch,
  CaptionFilter,
  CaptionItem,
  CaptionSummary,
  captionContract,
} from '../../contract/caption.ts';
import { LutraError } from '../../contract/errors.ts';
import { CaptionHistory } from './history.ts';
import type { CaptionStep } from './history.ts';
import { replacer } from './replace.ts';
import type { ReplaceRequest } from './replace.ts';
import { CaptionRows, itemOf, segmentsOf } from './rows.ts';
import type { CaptionRow } from './rows.ts';
import { scan } from './scan.ts';
import type { ScanRequest } from './scan.ts';
import { CaptionWatchers } from './watchers.ts';

type Added = z.infer<(typeof captionContract)['add']['output']>;
type Replaced = z.infer<(typeof captionContract)['replace']['output']>;

/** Up to so many changed items are told one by one; beyond that pages ask again. */
const toldOneByOne = 50;
const mostSamples = 20;
const mostProblems = 100;

export class CaptionList {
  readonly rows: CaptionRows;
  readonly watchers = new CaptionWatchers(() => this.summary());
  readonly #history: CaptionHistory;
  /** By job. */
  readonly #batches = new Map<string, CaptionBatch>();

  constructor(db: Database.Database) {
    this.rows = new CaptionRows(db);
    this.#history = new CaptionHistory(db);
    this.rows.settle();
  }

  async add(requests: readonly ScanRequest[]): Promise<Added> {
    const answer: Added = { added: 0, present: 0, skipped: 0, ignored: 0, problems: [] };
    for (const request of requests) {
      const { items, skipped, ignored, problems } = await scan(request);
      const added = this.rows.add(items);
      answer.added += added.length;
      answer.present += items.length - added.length;
      answer.skipped += skipped;
      answer.ignored += ignored;
      answer.problems.push(...problems.slice(0, mostProblems - answer.problems.length));
    }
    if (answer.added > 0) this.watchers.tell({ type: 'changed' });
    this.tellSummary();
    return answer;
  }

  list(filter: CaptionFilter, offset: number, limit: number): { total: number; items: CaptionItem[] } {
    return this.rows.list(filter, offset, limit);
  }

  /** Fails with `not-found`. */
  row(itemId: string): CaptionRow {
    const row = this.rows.get(itemId);
    if (row !== null) return row;
    throw new LutraError({ code: 'not-found', message: 'That item is not in the list any more.' });
  }

  summary(): CaptionSummary {
    const batches = [...this.#batches.values()];
    const batch = batches.find(({ stage }) => stage !== 'waiting') ?? batches[0] ?? null;
    return { counts: this.rows.counts(), batch, ...this.#history.ends() };
  }

  /** What runs now, as pages see it; null: it ended. */
  showBatch(jobId: string, batch: CaptionBatch | null): void {
    if (batch === null) this.#batches.delete(jobId);
    else this.#batches.set(jobId, batch);
    this.tellSummary();
  }

  edit(itemId: string, segment: number | null, text: string): CaptionItem {
    const row = this.row(itemId);
    if (row.is_locked === 1) {
      throw new LutraError({
        code: 'conflict',
        message: `"${row.name}" is locked.`,
        hint: 'Unlock it first.',
        subject: row.name,
      });
    }
    const segments = segmentsOf(row);
    if (segment !== null && segments[segment] === undefined) {
      throw new LutraError({
        code: 'not-found',
        message: `"${row.name}" has no such stretch any more.`,
        subject: row.name,
      });
    }
    this.record('edit', [row], () => {
      if (segment === null) this.rows.setText(itemId, text, segments);
      else
        this.rows.setText(
          itemId,
          row.text,
          segments.map((one, at) => (at === segment ? { ...one, text } : one)),
        );
    });
    return itemOf(this.row(itemId));
  }

  lock(itemIds: readonly string[], isLocked: boolean): void {
    const rows = this.rows.many(itemIds).filter((row) => (row.is_locked === 1) !== isLocked);
    this.record(isLocked ? 'lock' : 'unlock', rows, ({ id }) => this.rows.lock(id, isLocked));
  }

  clear(itemIds: readonly string[]): void {
    const rows = this.rows.many(itemIds).filter((row) => row.is_locked === 0 && row.state !== 'running');
    this.record('clear', rows, ({ id }) => this.rows.clear(id));
  }

  remove(itemIds: readonly string[]): void {
    this.record('remove', this.rows.many(itemIds), ({ id }) => this.rows.remove(id));
    this.watchers.tell({ type: 'changed' });
  }

  replace(request: ReplaceRequest, itemIds: readonly string[] | null, apply: boolean): Replaced {
    const change = replacer(request);
    const answer: Replaced = { matches: 0, items: 0, samples: [] };
    const changes = new Map<string, () => void>();
    const rows = this.rows.many(itemIds).filter((row) => {
      if (row.is_locked === 1) return false;
      const text = change(row.text);
      const segments = segmentsOf(row).map((segment) => ({ segment, ...change(segment.text) }));
      const matches = segments.reduce((sum, one) => sum + one.matches, text.matches);
      if (matches === 0) return false;
      answer.matches += matches;
      answer.items += 1;
      if (answer.samples.length < mostSamples) {
        const first = text.matches > 0 ? { before: row.text, after: text.text } : null;
        const other = segments.find((one) => one.matches > 0);
        const sample = first ?? { before: other?.segment.text ?? '', after: other?.text ?? '' };
        answer.samples.push({ itemId: row.id, ...sample });
      }
      const replaced = segments.map((one) => ({ ...one.segment, text: one.text }));
      changes.set(row.id, () => this.rows.setText(row.id, text.text, replaced));
      return true;
    });
    if (apply) this.record('replace', rows, ({ id }) => changes.get(id)?.());
    return answer;
  }

  undo(): boolean {
    return this.#turned(this.#history.undo());
  }

  redo(): boolean {
    return this.#turned(this.#history.redo());
  }

  /** A step that can be taken back; what it changed is told. */
  record(step: CaptionStep, rows: readonly CaptionRow[], change: (row: CaptionRow) => void): void {
    this.#history.record(step, rows, change);
    this.tellItems(rows.map(({ id }) => id));
  }

  tellItems(ids: readonly string[]): void {
    if (ids.length > toldOneByOne) this.watchers.tell({ type: 'changed' });
    else if (ids.length > 0) this.watchers.tell({ type: 'items', items: this.rows.many(ids).map(itemOf) });
    this.tellSummary();
  }

  tellSummary(): void {
    this.watchers.tellSummary();
  }

  #turned(changed: readonly string[] | null): boolean {
    if (changed === null) return false;
    // Removed ones come back, or go: which rows there are may be another matter now.
    this.watchers.tell({ type: 'changed' });
    this.tellSummary();
    return true;
  }
}
