/** A batch of captions as a job: every item once, whatever happens in between. */
import { z } from 'zod';
import type { CaptionBatch } from '../../contract/caption.ts';
import { captionSettingsSchema } from '../../contract/caption-settings.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { ErrorCode } from '../../contract/errors.ts';
import { Turns } from '../engine/turns.ts';
import type { JobContext, JobRunner } from '../jobs/runner.ts';
import type { CaptionProgress } from './captioner.ts';
import type { CaptionList } from './list.ts';
import type { CaptionRow } from './rows.ts';

export const captionJobKind = 'caption.batch';

const inputSchema = z.object({
  modelId: z.string(),
  modelName: z.string(),
  settings: captionSettingsSchema,
  items: z.number().int(),
  previewFirst: z.number().int(),
});
export type BatchInput = z.infer<typeof inputSchema>;
const checkpointSchema = z.object({ failed: z.number().int(), isPreviewed: z.boolean() });
type Checkpoint = z.infer<typeof checkpointSchema>;

/** Not the item's fault: the batch stops, and the item waits for it to go on. */
const batchFaults: ReadonlySet<ErrorCode> = new Set(['engine-unavailable', 'out-of-memory', 'disk-full', 'database']);
/** May be the item's fault, or the model's; so many one after the other are the model's. */
const unclearFaults: ReadonlySet<ErrorCode> = new Set(['engine-crashed', 'internal']);
const unclearInARow = 4;
const paceItems = 20;

export interface BatchOptions {
  readonly list: CaptionList;
  /** Looks at the model; fails where it cannot caption, as it is now. */
  readonly prepare: (input: BatchInput) => Promise<PreparedBatch>;
}

export interface PreparedBatch {
  readonly modelPath: string;
  caption(row: CaptionRow, signal: AbortSignal): AsyncIterable<CaptionProgress>;
}

export class CaptionBatches implements JobRunner<BatchInput, Checkpoint> {
  readonly kind = captionJobKind;
  readonly unit = 'items';
  readonly inputSchema = inputSchema;
  readonly checkpointSchema = checkpointSchema;
  readonly #options: BatchOptions;
  readonly #turns = new Turns();
  readonly #previews = new Map<string, () => void>();

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** The preview of that job is good. Fails with `conflict` where it waits for nothing. */
  goOn(jobId: string): void {
    const goOn = this.#previews.get(jobId);
    if (goOn === undefined) throw new LutraError({ code: 'conflict', message: 'That batch waits for nothing.' });
    goOn();
  }

  async run(input: BatchInput, context: JobContext<Checkpoint>): Promise<string> {
    const { list } = this.#options;
    const run = new BatchRun(input, context, list);
    run.show('waiting', null);
    const giveBack = await this.#turns.take(0, context.signal).catch((thrown: unknown) => {
      list.showBatch(context.jobId, null);
      throw thrown;
    });
    try {
      return await this.#carryOut(run, await this.#options.prepare(input), context);
    } finally {
      list.showBatch(context.jobId, null);
      giveBack();
    }
  }

  async #carryOut(run: BatchRun, prepared: PreparedBatch, { jobId, signal }: JobContext<Checkpoint>): Promise<string> {
    while (!signal.aborted) {
      if (run.wantsPreview()) {
        await this.#preview(run, jobId, signal);
        continue;
      }
      const row = this.#options.list.rows.claim(jobId);
      if (row === null) return run.outcome();
      await run.one(row, prepared);
    }
    throw new LutraError({ code: 'cancelled', message: 'Cancelled.' });
  }

  async #preview(run: BatchRun, jobId: string, signal: AbortSignal): Promise<void> {
    run.save({ isPreviewed: true });
    run.show('preview', null);
    await new Promise<void>((resolve) => {
      this.#previews.set(jobId, resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#previews.delete(jobId);
  }
}

class BatchRun {
  readonly #input: BatchInput;
  readonly #context: JobContext<Checkpoint>;
  readonly #list: CaptionList;
  readonly #durations: number[] = [];
  #checkpoint: Checkpoint;
  /** How many are over in this run, and in all. */
  #over = 0;
  #unclear = 0;

  constructor(input: BatchInput, context: JobContext<Checkpoint>, list: CaptionList) {
    this.#input = input;
    this.#context = context;
    this.#list = list;
    this.#checkpoint = context.checkpoint ?? { failed: 0, isPreviewed: false };
    this.#tellProgress();
  }

  save(patch: Partial<Checkpoint>): void {
    this.#checkpoint = { ...this.#checkpoint, ...patch };
    this.#context.save(this.#checkpoint);
  }

  wantsPreview(): boolean {
    const { previewFirst } = this.#input;
    return previewFirst > 0 && !this.#checkpoint.isPreviewed && this.#over >= previewFirst && this.#left() > 0;
  }

  outcome(): string {
    const { failed } = this.#checkpoint;
    const done = Math.max(0, this.#input.items - failed);
    return failed === 0 ? `${done} captioned` : `${done} captioned, ${failed} failed`;
  }

  async one(row: CaptionRow, prepared: PreparedBatch): Promise<void> {
    const list = this.#list;
    const { signal } = this.#context;
    const begunAt = performance.now();
    list.tellItems([row.id]);
    this.show('captioning', row);
    this.#context.progress({ note: row.name });
    let isLoading = false;
    try {
      for await (const event of prepared.caption(row, signal)) {
        // What comes after loading says that it is over.
        if (isLoading && event.type !== 'loading') this.show('captioning', row);
        isLoading = event.type === 'loading';
        if (event.type === 'loading') this.show('loading', row, event.fraction);
        else if (event.type === 'facts') list.rows.setFacts(row.id, event.facts);
        else if (event.type === 'writing') {
          const { segment, text } = event;
          list.watchers.tell({ type: 'writing', itemId: row.id, segment, text });
        } else list.rows.finish(row.id, event.written);
      }
      // An end without a caption is a stop.
      if (list.rows.row(row.id)?.state === 'running') signal.throwIfAborted();
      this.#unclear = 0;
    } catch (thrown) {
      this.#failed(row, prepared.modelPath, thrown);
    }
    this.#over += 1;
    this.#durations.push(performance.now() - begunAt);
    if (this.#durations.length > paceItems) this.#durations.shift();
    list.tellItems([row.id]);
    this.#tellProgress();
    this.show('captioning', null);
  }

  #failed(row: CaptionRow, modelPath: string, thrown: unknown): void {
    const list = this.#list;
    const error = toErrorData(thrown);
    this.#unclear = unclearFaults.has(error.code) ? this.#unclear + 1 : 0;
    const isOver = this.#context.signal.aborted || error.code === 'cancelled';
    const isModels = error.subject?.startsWith(modelPath) === true || batchFaults.has(error.code);
    if (isOver || isModels || this.#unclear >= unclearInARow) {
      list.rows.release(row.id);
      list.tellItems([row.id]);
      throw thrown;
    }
    list.rows.fail(row.id, error);
    this.save({ failed: this.#checkpoint.failed + 1 });
  }

  show(stage: CaptionBatch['stage'], row: CaptionRow | null, fraction: number | null = null): void {
    const { jobId } = this.#context;
    const left = this.#left();
    this.#list.showBatch(jobId, {
      jobId,
      modelName: this.#input.modelName,
      stage,
      fraction,
      done: Math.max(0, this.#input.items - left - this.#checkpoint.failed),
      failed: this.#checkpoint.failed,
      total: this.#input.items,
      etaSeconds: this.#eta(left),
      itemId: row?.id ?? null,
    });
  }

  #tellProgress(): void {
    const left = this.#left();
    const done = Math.max(0, this.#input.items - left);
    this.#context.progress({ done, total: this.#input.items, etaSeconds: this.#eta(left) });
  }

  #left(): number {
    return this.#list.rows.pending(this.#context.jobId);
  }

  /** From the last few; the first one, which loads the model, tells too little by itself. */
  #eta(left: number): number | null {
    const known = this.#durations.length > 1 ? this.#durations.slice(this.#over <= paceItems ? 1 : 0) : [];
    if (known.length === 0) return null;
    const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
    return (mean * left) / 1000;
  }
}
