/** Long work that survives a quit or a crash: rows in the store, runners given by the capabilities. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { LutraError, errorDataSchema, toErrorData } from '../../contract/errors.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Job, JobStatus } from '../../contract/jobs.ts';
import type { EventBus } from '../events.ts';
import { Pace } from './pace.ts';
import type { JobContext, JobProgress, JobRunner, JobStarter } from './runner.ts';

interface JobRow {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly status: JobStatus;
  readonly input: string;
  readonly checkpoint: string | null;
  readonly done: number;
  readonly total: number | null;
  readonly unit: 'items' | 'bytes';
  readonly note: string;
  readonly error: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

/** A job that runs now. */
interface Running {
  readonly abort: AbortController;
  readonly pace: Pace;
  /** Why it was told to stop; null while it should go on. */
  ending: 'paused' | 'cancelled' | 'interrupted' | null;
  finished: Promise<void>;
  job: Job;
  writtenAt: number;
  timer: NodeJS.Timeout | null;
}

/** Progress is written and told at most this often. */
const progressIntervalMs = 250;
const resumable = new Set<JobStatus>(['paused', 'interrupted', 'failed', 'cancelled']);
const ended = new Set<JobStatus>(['done', 'failed', 'cancelled', 'interrupted', 'paused']);

export class JobsService implements JobStarter {
  readonly handlers: StudioHandlers['jobs'];
  readonly #db: Database.Database;
  readonly #bus: EventBus;
  readonly #runners = new Map<string, JobRunner>();
  readonly #running = new Map<string, Running>();

  constructor({ db, bus }: { readonly db: Database.Database; readonly bus: EventBus }) {
    this.#db = db;
    this.#bus = bus;
    // What was running when the studio last ended did not end well.
    db.prepare("UPDATE jobs SET status = 'interrupted' WHERE status IN ('running', 'queued')").run();
    this.handlers = {
      list: () => this.list(),
      cancel: ({ jobId }) => this.#stop(jobId, 'cancelled'),
      pause: ({ jobId }) => this.#stop(jobId, 'paused'),
      resume: ({ jobId }) => this.#resume(jobId),
      dismiss: ({ jobId }) => {
        this.dismiss(jobId);
        return {};
      },
    };
  }

  /** Makes jobs of this kind startable. */
  register<Input, Checkpoint>(runner: JobRunner<Input, Checkpoint>): void {
    this.#runners.set(runner.kind, runner as JobRunner);
  }

  /** Newest first. */
  list(): Job[] {
    const rows = this.#db.prepare<[], JobRow>('SELECT * FROM jobs ORDER BY created_at DESC, rowid DESC').all();
    return rows.map((row) => this.#running.get(row.id)?.job ?? jobOf(row));
  }

  /** Starts a job and returns its id. */
  start(kind: string, title: string, input: unknown): string {
    const runner = this.#runnerOf(kind);
    const now = Date.now();
    const id = randomUUID();
    this.#db
      .prepare(
        `INSERT INTO jobs (id, kind, title, status, input, unit, created_at, updated_at)
         VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)`,
      )
      .run(id, kind, title, JSON.stringify(runner.inputSchema.parse(input)), runner.unit, now, now);
    this.#run(this.#row(id), runner);
    return id;
  }

  /** Resolves when the job has ended, in whatever way, with how it then stands. */
  async wait(jobId: string): Promise<Job> {
    await this.#running.get(jobId)?.finished;
    return jobOf(this.#row(jobId));
  }

  /** Stops all; they are offered to resume at the next start. */
  async dispose(): Promise<void> {
    const waits = [...this.#running.values()].map((running) => {
      running.ending ??= 'interrupted';
      running.abort.abort();
      return running.finished;
    });
    await Promise.all(waits);
  }

  async #stop(jobId: string, ending: 'paused' | 'cancelled'): Promise<Record<string, never>> {
    const running = this.#running.get(jobId);
    if (running !== undefined) {
      running.ending = ending;
      running.abort.abort();
      await running.finished;
      return {};
    }
    const row = this.#row(jobId);
    if (ending === 'cancelled' && (row.status === 'paused' || row.status === 'interrupted')) {
      this.#db.prepare("UPDATE jobs SET status = 'cancelled', updated_at = ? WHERE id = ?").run(Date.now(), jobId);
      this.#tell(jobId);
    }
    return {};
  }

  #resume(jobId: string): Record<string, never> {
    const row = this.#row(jobId);
    if (this.#running.has(jobId)) return {};
    if (!resumable.has(row.status)) {
      throw new LutraError({ code: 'conflict', message: `"${row.title}" is finished.`, subject: row.title });
    }
    this.#run(row, this.#runnerOf(row.kind));
    return {};
  }

  /** Takes an ended job out of the list. */
  dismiss(jobId: string): void {
    const row = this.#row(jobId);
    if (!ended.has(row.status) || this.#running.has(jobId)) {
      throw new LutraError({
        code: 'conflict',
        message: `"${row.title}" is still running.`,
        hint: 'Cancel it first.',
        subject: row.title,
      });
    }
    this.#db.prepare('DELETE FROM jobs WHERE id = ?').run(jobId);
    this.#bus.publish({ type: 'jobs' });
  }

  #run(row: JobRow, runner: JobRunner): void {
    const running: Running = {
      abort: new AbortController(),
      pace: new Pace(),
      ending: null,
      finished: Promise.resolve(),
      job: { ...jobOf(row), status: 'running', error: null, note: '', updatedAt: Date.now() },
      writtenAt: 0,
      timer: null,
    };
    this.#running.set(row.id, running);
    this.#write(running);
    running.finished = this.#carryOut(row, runner, running);
  }

  async #carryOut(row: JobRow, runner: JobRunner, running: Running): Promise<void> {
    try {
      const input = runner.inputSchema.parse(JSON.parse(row.input));
      const checkpoint = row.checkpoint === null ? null : runner.checkpointSchema.safeParse(JSON.parse(row.checkpoint));
      const context: JobContext<unknown> = {
        jobId: row.id,
        signal: running.abort.signal,
        checkpoint: checkpoint?.success === true ? checkpoint.data : null,
        progress: (update) => this.#progress(running, update),
        save: (value) => {
          this.#db.prepare('UPDATE jobs SET checkpoint = ? WHERE id = ?').run(JSON.stringify(value), row.id);
        },
      };
      // The caller gets the id before the work begins.
      await Promise.resolve();
      running.abort.signal.throwIfAborted();
      const outcome = await runner.run(input, context);
      this.#end(running, running.ending ?? 'done', running.ending === null ? outcome : running.job.note, null);
    } catch (thrown) {
      if (running.ending === null) this.#end(running, 'failed', '', toErrorData(thrown));
      else this.#end(running, running.ending, running.job.note, null);
    }
  }

  #progress(running: Running, update: JobProgress): void {
    const { job } = running;
    const done = update.done ?? job.done;
    const total = update.total === undefined ? job.total : update.total;
    running.job = {
      ...job,
      done,
      total,
      note: update.note ?? job.note,
      etaSeconds: update.etaSeconds === undefined ? running.pace.secondsLeft(done, total) : update.etaSeconds,
      updatedAt: Date.now(),
    };
    const wait = running.writtenAt + progressIntervalMs - Date.now();
    // How much there is to do is kept at once: after a kill, "1 of ?" says little.
    if (wait <= 0 || total !== job.total) this.#write(running);
    // What comes too soon is written a little later: the next progress may take minutes.
    else running.timer ??= setTimeout(() => this.#write(running), wait);
  }

  #end(running: Running, status: JobStatus, note: string, error: Job['error']): void {
    const { job } = running;
    running.job = { ...job, status, note, error, etaSeconds: null, updatedAt: Date.now() };
    this.#running.delete(job.id);
    this.#write(running);
  }

  #write(running: Running): void {
    const { id, status, done, total, note, error, updatedAt } = running.job;
    clearTimeout(running.timer ?? undefined);
    running.timer = null;
    running.writtenAt = updatedAt;
    try {
      this.#db
        .prepare('UPDATE jobs SET status = ?, done = ?, total = ?, note = ?, error = ?, updated_at = ? WHERE id = ?')
        .run(status, done, total, note, error === null ? null : JSON.stringify(error), updatedAt, id);
    } catch (thrown) {
      // On a full disk the work goes on; the row is written again with the next progress.
      this.#bus.publish({ type: 'notice', level: 'warning', error: toErrorData(thrown) });
    }
    this.#bus.publish({ type: 'job', job: running.job });
  }

  #tell(jobId: string): void {
    this.#bus.publish({ type: 'job', job: jobOf(this.#row(jobId)) });
  }

  #row(jobId: string): JobRow {
    const row = this.#db.prepare<[string], JobRow>('SELECT * FROM jobs WHERE id = ?').get(jobId);
    if (row === undefined) throw new LutraError({ code: 'not-found', message: 'That job is not there any more.' });
    return row;
  }

  #runnerOf(kind: string): JobRunner {
    const runner = this.#runners.get(kind);
    if (runner !== undefined) return runner;
    throw new LutraError({
      code: 'not-supported',
      message: `This version of Lutra does not know jobs of kind "${kind}".`,
      subject: kind,
    });
  }
}

function jobOf(row: JobRow): Job {
  const error = row.error === null ? null : errorDataSchema.safeParse(JSON.parse(row.error));
  return {
    id: row.id,
    kind: row.kind,
    title: row.title,
    status: row.status,
    done: row.done,
    total: row.total,
    unit: row.unit,
    etaSeconds: null,
    note: row.note,
    error: error?.success === true ? error.data : null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
