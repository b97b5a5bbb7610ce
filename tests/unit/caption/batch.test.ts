/** Batches: every item once, whatever happens. The engine is scripted; jobs and the store are real. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptionItem, CaptionSummary } from '../../../contract/caption.ts';
import { captionSettingsSchema } from '../../../contract/caption-settings.ts';
import { LutraError } from '../../../contract/errors.ts';
import type { Job } from '../../../contract/jobs.ts';
import type { Model } from '../../../contract/models.ts';
import { settingsSchema } from '../../../contract/settings.ts';
import { CaptionService } from '../../../main/caption/service.ts';
import { EventBus } from '../../../main/events.ts';
import { JobsService } from '../../../main/jobs/service.ts';
import { openStore } from '../../../main/store/store.ts';
import type { Store } from '../../../main/store/store.ts';
import { temporaryFolder } from '../../fixtures/host.ts';
import { scriptedVision } from '../../fixtures/scripted-vision.ts';
import type { Script } from '../../fixtures/scripted-vision.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let studio: Studio;

interface Studio {
  readonly store: Store;
  readonly jobs: JobsService;
  readonly captions: CaptionService['handlers'];
  close(): Promise<void>;
}

const context = { signal: new AbortController().signal, connectionId: 'test' };
const model = { id: 'm', name: 'tiny', capabilities: ['caption'], status: 'ready', problem: null } as unknown as Model;
const gone = (): never => {
  throw new LutraError({ code: 'not-found', message: 'not granted' });
};

async function openStudio(script: Script): Promise<Studio> {
  const store = await openStore(join(folder.path, 'data'));
  const jobs = new JobsService({ db: store.db, bus: new EventBus() });
  const { handlers } = new CaptionService({
    db: store.db,
    engine: scriptedVision(script),
    jobs,
    models: { get: () => model, pathOf: () => '/models/tiny' },
    files: { resolve: () => ({ path: join(folder.path, 'set'), isFolder: true }), grant: gone },
    settings: { get: () => settingsSchema.parse({}) },
    thumbnailsFolder: join(folder.path, 'thumbnails'),
  });
  return {
    store,
    jobs,
    captions: handlers,
    close: async () => {
      await jobs.dispose();
      await store.dispose();
    },
  };
}

const nameIn = (request: { pictures: readonly { name: string }[] }): string => request.pictures[0]?.name ?? '';
const add = (): Promise<unknown> =>
  Promise.resolve(
    studio.captions.add({ grants: [{ grantId: 'g', folder: '' }], recursive: true, sidecars: 'ignore' }, context),
  );
const list = async (state: 'all' | 'failed' | 'done' | 'waiting' = 'all'): Promise<CaptionItem[]> =>
  (await studio.captions.list({ filter: { state, search: '' }, offset: 0, limit: 500 }, context)).items;
const itemNamed = async (name: string): Promise<CaptionItem> => {
  const found = (await list()).find((item) => item.name === name);
  if (found === undefined) throw new Error(`There is no ${name}.`);
  return found;
};
interface Wish {
  readonly which?: 'missing' | 'all';
  readonly previewFirst?: number;
  readonly itemIds?: string[] | null;
  readonly settings?: object;
}
const start = async ({
  which = 'missing',
  previewFirst = 0,
  itemIds = null,
  settings = {},
}: Wish = {}): Promise<string> =>
  (
    await studio.captions.start(
      { modelId: 'm', settings: captionSettingsSchema.parse(settings), itemIds, which, previewFirst },
      context,
    )
  ).jobId;
const run = async (wish?: Wish): Promise<Job> => studio.jobs.wait(await start(wish));
const summary = async (): Promise<CaptionSummary> => studio.captions.summary({}, context);
const until = async (isThere: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function pictures(count: number): Promise<void> {
  await mkdir(join(folder.path, 'set'), { recursive: true });
  for (let at = 0; at < count; at += 1) await writeFile(join(folder.path, `set/${at}.jpg`), `picture ${at}`);
}

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  await studio.close();
  await folder.remove();
});

describe('a batch', () => {
  test('captions what waits, with what goes before and after, and says what was asked', async () => {
    await pictures(3);
    const asked: string[] = [];
    studio = await openStudio({
      say: (request) => {
        asked.push(request.messages[0]?.text ?? '');
        return `a cat on ${nameIn(request)}`;
      },
    });
    await add();
    const settings = { prompt: 'What is {name} of {folder}?', prefix: 'ohwx', suffix: ', best', avoid: ['dog'] };
    expect(await run({ settings })).toMatchObject({ status: 'done', note: '3 captioned', done: 3, total: 3 });
    expect(asked[1]).toBe('What is 1 of set? Do not use these words: dog.');
    expect(await itemNamed('1.jpg')).toMatchObject({
      state: 'done',
      text: 'ohwx a cat on 1.jpg, best',
      modelName: 'tiny',
      prompt: asked[1],
      width: 40,
      height: 20,
      note: '',
    });
    expect((await summary()).batch).toBeNull();
  });

  test('leaves edited and locked ones alone, and what a person edits while it runs', async () => {
    await pictures(4);
    const held = Promise.withResolvers<void>();
    studio = await openStudio({
      say: async (request) => {
        if (nameIn(request) === '2.jpg') await held.promise;
        return 'made';
      },
    });
    await add();
    await studio.captions.edit({ itemId: (await itemNamed('0.jpg')).id, segment: null, text: 'mine' }, context);
    await studio.captions.lock({ itemIds: [(await itemNamed('1.jpg')).id], isLocked: true }, context);
    const jobId = await start({ which: 'all' });
    await until(async () => (await itemNamed('2.jpg')).state === 'running');
    await studio.captions.edit({ itemId: (await itemNamed('2.jpg')).id, segment: null, text: 'mine too' }, context);
    held.resolve();
    await studio.jobs.wait(jobId);
    expect((await list()).map(({ text, state }) => [text, state])).toEqual([
      ['mine', 'edited'],
      ['', 'waiting'],
      ['mine too', 'edited'],
      ['made', 'done'],
    ]);
  });

  test('a picture that fails says why and the others go on; those alone are tried again', async () => {
    await pictures(5);
    let isBroken = true;
    const seen: string[] = [];
    studio = await openStudio({
      say: (request) => {
        seen.push(nameIn(request));
        if (isBroken && nameIn(request) === '2.jpg')
          throw new LutraError({ code: 'engine-crashed', message: 'The engine stopped while it captioned.' });
        return 'made';
      },
    });
    await add();
    await rm(join(folder.path, 'set/4.jpg'));
    expect(await run()).toMatchObject({ status: 'done', note: '3 captioned, 2 failed' });
    expect((await list('failed')).map(({ name, error }) => [name, error?.code])).toEqual([
      ['2.jpg', 'engine-crashed'],
      ['4.jpg', 'file-access'],
    ]);
    isBroken = false;
    seen.length = 0;
    await run();
    expect(seen).toEqual(['2.jpg']);
    expect((await itemNamed('2.jpg')).state).toBe('done');
    expect((await itemNamed('4.jpg')).error?.message).toBe('"4.jpg" cannot be read.');
  });

  test('a model that cannot go on stops the batch, and nothing is lost', async () => {
    await pictures(6);
    let hasRoom = false;
    studio = await openStudio({
      say: (request) => {
        if (!hasRoom && nameIn(request) === '2.jpg')
          throw new LutraError({ code: 'out-of-memory', message: 'There is not enough memory.' });
        return 'made';
      },
    });
    await add();
    const jobId = await start();
    expect(await studio.jobs.wait(jobId)).toMatchObject({ status: 'failed', error: { code: 'out-of-memory' } });
    expect((await summary()).counts).toMatchObject({ done: 2, waiting: 4, failed: 0 });
    hasRoom = true;
    await studio.jobs.handlers.resume({ jobId }, context);
    expect(await studio.jobs.wait(jobId)).toMatchObject({ status: 'done', note: '6 captioned', done: 6 });
  });

  test('an engine that stops with every picture stops the batch', async () => {
    await pictures(10);
    const crash = new LutraError({ code: 'engine-crashed', message: 'It stopped.' });
    studio = await openStudio({ say: () => Promise.reject(crash) });
    await add();
    expect(await run()).toMatchObject({ status: 'failed', error: { code: 'engine-crashed' } });
    expect((await summary()).counts).toMatchObject({ failed: 3, waiting: 7 });
  });

  test('shows its first results and waits before it goes on with all', async () => {
    await pictures(5);
    studio = await openStudio({ say: () => 'made' });
    await add();
    const jobId = await start({ previewFirst: 2 });
    await until(async () => (await summary()).batch?.stage === 'preview');
    expect((await summary()).batch).toMatchObject({ jobId, done: 2, failed: 0, total: 5 });
    await studio.captions.goOn({ jobId }, context);
    expect(await studio.jobs.wait(jobId)).toMatchObject({ status: 'done', done: 5 });
    expect(() => studio.captions.goOn({ jobId }, context)).toThrow('waits for nothing');
  });

  test('made anew, a caption can be had back', async () => {
    await pictures(2);
    let word = 'first';
    studio = await openStudio({ say: () => word });
    await add();
    await run();
    word = 'second';
    await expect(start()).rejects.toThrow('nothing to caption');
    await run({ which: 'all' });
    expect((await list()).map(({ text }) => text)).toEqual(['second', 'second']);
    expect((await summary()).undo).toEqual({ step: 'again', items: 2 });
    await studio.captions.undo({}, context);
    expect((await list()).map(({ text, state }) => [text, state])).toEqual([
      ['first', 'done'],
      ['first', 'done'],
    ]);
    await studio.captions.redo({}, context);
    expect((await list()).map(({ text }) => text)).toEqual(['second', 'second']);
  });

  test('tags are one line, each once, without those to avoid', async () => {
    await pictures(1);
    studio = await openStudio({ say: () => '1. cat,\n2. Dog, tabby, cat\n- red sofa.' });
    await add();
    await run({ settings: { preset: 'tags', prefix: 'ohwx', avoid: ['dog'] } });
    expect((await itemNamed('0.jpg')).text).toBe('ohwx, cat, tabby, red sofa');
  });

  test('nothing is no caption, whatever goes before and after', async () => {
    await pictures(2);
    studio = await openStudio({ say: (request) => (nameIn(request) === '1.jpg' ? '' : 'a cat') });
    await add();
    await run({ settings: { prefix: 'ohwx' } });
    expect(await itemNamed('0.jpg')).toMatchObject({ state: 'done', text: 'ohwx a cat' });
    const { state, text, error } = await itemNamed('1.jpg');
    expect([state, text, error?.message]).toEqual(['failed', '', 'The model wrote nothing about "1.jpg".']);
  });

  test('prose that holds a word to avoid is marked', async () => {
    await pictures(1);
    studio = await openStudio({ say: () => 'A dog sleeps.' });
    await add();
    await run({ settings: { avoid: ['dog'] } });
    expect(await itemNamed('0.jpg')).toMatchObject({ text: 'A dog sleeps.', note: 'avoided' });
  });
});

describe('interrupted', () => {
  test('a paused batch goes on where it was, and does nothing twice', async () => {
    await pictures(6);
    const seen: string[] = [];
    let holds = true;
    studio = await openStudio({
      say: async (request, signal) => {
        if (holds && nameIn(request) === '3.jpg' && !signal.aborted)
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        signal.throwIfAborted();
        seen.push(nameIn(request));
        return 'made';
      },
    });
    await add();
    const jobId = await start();
    await until(async () => (await itemNamed('3.jpg')).state === 'running');
    await studio.jobs.handlers.pause({ jobId }, context);
    expect((await itemNamed('3.jpg')).state).toBe('waiting');
    holds = false;
    await studio.jobs.handlers.resume({ jobId }, context);
    expect(await studio.jobs.wait(jobId)).toMatchObject({ status: 'done', done: 6 });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5].map((at) => `${at}.jpg`));
  });

  test('after the studio died, the item that ran waits again and the batch can go on', async () => {
    await pictures(4);
    const seen: string[] = [];
    const never = Promise.withResolvers<string>();
    studio = await openStudio({ say: (request) => (nameIn(request) === '2.jpg' ? never.promise : 'made') });
    await add();
    const jobId = await start();
    await until(async () => (await itemNamed('2.jpg')).state === 'running');
    // As a process that is gone: nothing more is written by it.
    await studio.store.dispose();
    studio = await openStudio({
      say: (request) => {
        seen.push(nameIn(request));
        return 'made';
      },
    });
    expect((await itemNamed('2.jpg')).state).toBe('waiting');
    expect(studio.jobs.list()[0]).toMatchObject({ id: jobId, status: 'interrupted' });
    await studio.jobs.handlers.resume({ jobId }, context);
    expect(await studio.jobs.wait(jobId)).toMatchObject({ status: 'done', done: 4, total: 4 });
    expect(seen).toEqual(['2.jpg', '3.jpg']);
    never.resolve('late');
  });

  test('two batches take turns', async () => {
    await pictures(4);
    let running = 0;
    let most = 0;
    studio = await openStudio({
      say: async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        return 'made';
      },
    });
    await add();
    const ids = (await list()).map(({ id }) => id);
    const first = await start({ itemIds: ids.slice(0, 2) });
    const second = await start({ itemIds: ids.slice(2) });
    await Promise.all([studio.jobs.wait(first), studio.jobs.wait(second)]);
    expect(most).toBe(1);
    expect((await summary()).counts.done).toBe(4);
  });

  test('a thousand pictures: the engine dies at one, all others are done once', async () => {
    await pictures(1000);
    const seen = new Map<string, number>();
    studio = await openStudio({
      say: (request) => {
        seen.set(nameIn(request), (seen.get(nameIn(request)) ?? 0) + 1);
        if (nameIn(request) === '500.jpg') throw new LutraError({ code: 'engine-crashed', message: 'It was killed.' });
        return `of ${basename(nameIn(request))}`;
      },
    });
    await add();
    expect(await run()).toMatchObject({ status: 'done', note: '999 captioned, 1 failed' });
    expect([...seen.values()].every((count) => count === 1)).toBe(true);
    expect(seen.size).toBe(1000);
    expect((await itemNamed('499.jpg')).text).toBe('of 499.jpg');
    expect((await list('failed')).map(({ name, error }) => [name, error?.message])).toEqual([
      ['500.jpg', 'It was killed.'],
    ]);
  });
});

test('a question about an item is answered with what was said before', async () => {
  await pictures(1);
  const heard: string[][] = [];
  studio = await openStudio({
    say: ({ messages }) => {
      heard.push(messages.map(({ role, text }) => `${role}: ${text}`));
      return 'It is red.';
    },
  });
  await add();
  const stages: string[] = [];
  let answer = '';
  const events = studio.captions.ask(
    {
      itemId: (await itemNamed('0.jpg')).id,
      modelId: 'm',
      question: 'Which colour?',
      history: [
        { role: 'user', text: 'What is it?' },
        { role: 'assistant', text: 'A cat.' },
      ],
      settings: captionSettingsSchema.parse({}),
    },
    context,
  );
  for await (const { stage, text } of events) {
    stages.push(stage);
    answer = text;
  }
  expect([...new Set(stages)]).toEqual(['waiting', 'loading', 'looking', 'answering', 'done']);
  expect(answer).toBe('It is red.');
  expect(heard).toEqual([['user: What is it?', 'assistant: A cat.', 'user: Which colour?']]);
});
