import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Job } from '../../../contract/jobs.ts';
import { EventBus } from '../../../main/events.ts';
import { Pace } from '../../../main/jobs/pace.ts';
import type { JobRunner } from '../../../main/jobs/runner.ts';
import { JobsService } from '../../../main/jobs/service.ts';
import { openStore } from '../../../main/store/store.ts';
import type { Store } from '../../../main/store/store.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: Store;
let bus: EventBus;

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await openStore(join(folder.path, 'data'));
  bus = new EventBus();
});
afterEach(async () => {
  await store.dispose();
  await folder.remove();
});

/** Counts to ten, one step per turn of the event loop, and waits at `holdAt` until it is told to stop. */
function counter(seen: number[], holdAt: number | null = null): JobRunner<{ to: number }, { next: number }> {
  return {
    kind: 'test.count',
    unit: 'items',
    inputSchema: z.object({ to: z.number() }),
    checkpointSchema: z.object({ next: z.number() }),
    async run({ to }, { signal, checkpoint, progress, save }) {
      for (let at = checkpoint?.next ?? 0; at < to; at += 1) {
        if (at === holdAt) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        signal.throwIfAborted();
        seen.push(at);
        save({ next: at + 1 });
        progress({ done: at + 1, total: to, note: `step ${at}` });
      }
      return 'counted';
    },
  };
}

const stateOf = (jobs: JobsService, id: string): Job | undefined => jobs.list().find((job) => job.id === id);
const context = { signal: new AbortController().signal, connectionId: 'test' };

describe('jobs', () => {
  test('a job runs to its end and says what came of it', async () => {
    const jobs = new JobsService({ db: store.db, bus });
    jobs.register(counter([]));
    const id = jobs.start('test.count', 'Counting', { to: 10 });
    expect(stateOf(jobs, id)?.status).toBe('running');
    expect(await jobs.wait(id)).toMatchObject({ status: 'done', note: 'counted', done: 10, total: 10 });
  });

  test('how much there is to do is kept at once, however soon after a first word: a kill may follow', async () => {
    const jobs = new JobsService({ db: store.db, bus });
    const told = Promise.withResolvers<undefined>();
    jobs.register({
      kind: 'test.soon',
      unit: 'items',
      inputSchema: z.object({}),
      checkpointSchema: z.null(),
      async run(_input, { signal, progress }) {
        progress({ note: 'looking' });
        progress({ done: 1, total: 17 });
        told.resolve(undefined);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        signal.throwIfAborted();
        return '';
      },
    });
    const id = jobs.start('test.soon', 'Soon', {});
    await told.promise;
    expect(store.db.prepare('SELECT done, total FROM jobs WHERE id = ?').get(id)).toEqual({ done: 1, total: 17 });
    await jobs.handlers.cancel({ jobId: id }, context);
  });

  test('a paused job goes on from where it was', async () => {
    const seen: number[] = [];
    const jobs = new JobsService({ db: store.db, bus });
    jobs.register(counter(seen, 4));
    const id = jobs.start('test.count', 'Counting', { to: 6 });
    while (seen.length < 4) await new Promise((resolve) => setImmediate(resolve));
    await jobs.handlers.pause({ jobId: id }, context);
    expect(stateOf(jobs, id)?.status).toBe('paused');
    jobs.register(counter(seen));
    await jobs.handlers.resume({ jobId: id }, context);
    expect((await jobs.wait(id)).status).toBe('done');
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('a job interrupted by a quit is offered to resume at the next start', async () => {
    const seen: number[] = [];
    const first = new JobsService({ db: store.db, bus });
    first.register(counter(seen, 2));
    const id = first.start('test.count', 'Counting', { to: 4 });
    while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
    await first.dispose();
    const second = new JobsService({ db: store.db, bus });
    second.register(counter(seen));
    expect(stateOf(second, id)?.status).toBe('interrupted');
    await second.handlers.resume({ jobId: id }, context);
    await second.wait(id);
    expect(seen).toEqual([0, 1, 2, 3]);
  });

  test('a job that was running when the process died is interrupted too', () => {
    const jobs = new JobsService({ db: store.db, bus });
    jobs.register(counter([], 0));
    const id = jobs.start('test.count', 'Counting', { to: 4 });
    expect(stateOf(new JobsService({ db: store.db, bus }), id)?.status).toBe('interrupted');
  });

  test('a failure keeps its reason, and the job can be tried again', async () => {
    const jobs = new JobsService({ db: store.db, bus });
    jobs.register({ ...counter([]), run: () => Promise.reject(new Error('no such disk')) });
    const id = jobs.start('test.count', 'Counting', { to: 4 });
    expect(await jobs.wait(id)).toMatchObject({ status: 'failed', error: { message: 'no such disk' } });
    jobs.register(counter([]));
    await jobs.handlers.resume({ jobId: id }, context);
    expect(await jobs.wait(id)).toMatchObject({ status: 'done', error: null });
  });

  test('a running job is not dismissed; an ended one is', async () => {
    const jobs = new JobsService({ db: store.db, bus });
    jobs.register(counter([], 0));
    const id = jobs.start('test.count', 'Counting', { to: 4 });
    expect(() => jobs.dismiss(id)).toThrow(expect.objectContaining({ code: 'conflict' }));
    await jobs.handlers.cancel({ jobId: id }, context);
    expect(stateOf(jobs, id)?.status).toBe('cancelled');
    jobs.dismiss(id);
    expect(jobs.list()).toEqual([]);
  });
});

describe('time left', () => {
  test('is not guessed at once, follows the recent pace, and is honest about an unknown whole', () => {
    let now = 0;
    const pace = new Pace(() => now);
    expect(pace.secondsLeft(0, 100)).toBeNull();
    now = 1000;
    expect(pace.secondsLeft(10, 100)).toBeNull();
    now = 2000;
    expect(pace.secondsLeft(20, 100)).toBeCloseTo(8);
    expect(pace.secondsLeft(20, null)).toBeNull();
    now = 60_000;
    pace.secondsLeft(20, 100);
    now = 62_000;
    expect(pace.secondsLeft(24, 100)).toBeCloseTo(38);
  });
});
