/** What a capability gives to the jobs service so that its long work persists. */
import type { z } from 'zod';
import type { Job } from '../../contract/jobs.ts';

export interface JobProgress {
  readonly done?: number;
  readonly total?: number | null;
  readonly note?: string;
  readonly etaSeconds?: number | null;
}

export interface JobContext<Checkpoint> {
  readonly jobId: string;
  /** Fires on pause, cancel and quit; the runner should return soon after. */
  readonly signal: AbortSignal;
  /** Where an earlier run got to; null on the first run. */
  readonly checkpoint: Checkpoint | null;
  /** Reports progress; written to the store at most a few times a second. `etaSeconds`: where the runner knows better. */
  readonly progress: (update: JobProgress) => void;
  /** Saves at once where the work can go on from. */
  readonly save: (checkpoint: Checkpoint) => void;
}

export interface JobRunner<Input = unknown, Checkpoint = unknown> {
  readonly kind: string;
  readonly unit: 'items' | 'bytes';
  readonly inputSchema: z.ZodType<Input>;
  readonly checkpointSchema: z.ZodType<Checkpoint>;
  /** Returns one line about the outcome. */
  run(input: Input, context: JobContext<Checkpoint>): Promise<string>;
}

/** What a capability may ask of the jobs service. */
export interface JobStarter {
  register<Input, Checkpoint>(runner: JobRunner<Input, Checkpoint>): void;
  /** Starts a job and returns its id. */
  start(kind: string, title: string, input: unknown): string;
  /** Resolves when the job has ended, in whatever way, with how it then stands. */
  wait(jobId: string): Promise<Job>;
  /** Takes an ended job out of the list. */
  dismiss(jobId: string): void;
}
