/** Captions through the studio and the command line, with a real engine on tiny models in the published layouts. */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { captionSettingsSchema } from '../../contract/caption-settings.ts';
import type { CaptionSettings } from '../../contract/caption-settings.ts';
import type { CaptionItem, ClipRequest } from '../../contract/caption.ts';
import type { Job } from '../../contract/jobs.ts';
import type { CaptionEvent } from '../../main/caption/watchers.ts';
import { runLutra, temporaryFolder } from '../fixtures/host.ts';
import { addModel, openStudio } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

const golden = join(import.meta.dirname, '../golden/vision');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let open: OpenStudio;
let modelId: string;
let set: string;

const settings = (patch: Partial<CaptionSettings> = {}): CaptionSettings =>
  captionSettingsSchema.parse({ prompt: 'What is this?', maxTokens: 8, seed: 7, ...patch });

async function picture(name: string, colour: string, width = 40, height = 28): Promise<void> {
  const made = sharp({ create: { width, height, channels: 3, background: colour } });
  await writeFile(join(set, name), await (name.endsWith('.png') ? made.png() : made.jpeg()).toBuffer());
}

async function add(): Promise<void> {
  const { id } = await open.studio.files.grant(set);
  await open.client.caption.add({ grants: [{ grantId: id }] });
}

const list = async (): Promise<CaptionItem[]> =>
  (await open.client.caption.list({ filter: {}, offset: 0, limit: 500 })).items;

async function run(wish: { settings?: CaptionSettings; model?: string; itemIds?: string[] } = {}): Promise<Job> {
  const { jobId } = await open.client.caption.start({
    modelId: wish.model ?? modelId,
    settings: wish.settings ?? settings(),
    itemIds: wish.itemIds ?? null,
    which: 'all',
  });
  return ended(jobId);
}

async function ended(jobId: string): Promise<Job> {
  for (;;) {
    const job = (await open.client.jobs.list({})).find(({ id }) => id === jobId);
    if (job === undefined) throw new Error('The job is gone.');
    if (job.status !== 'running' && job.status !== 'queued') return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Watches until `isEnough`. */
async function watch(isEnough: (event: CaptionEvent) => boolean): Promise<void> {
  const abort = new AbortController();
  for await (const event of open.client.caption.watch({ canDecodeClips: false }, { signal: abort.signal })) {
    if (isEnough(event)) break;
  }
  abort.abort();
}

beforeAll(async () => {
  folder = await temporaryFolder();
  open = await openStudio(join(folder.path, 'data'));
  // Threads that wait for each other make a tiny model slow on a machine that tests share.
  await open.client.settings.update({ patch: { threads: 1 } });
  modelId = await addModel(open, join(golden, 'evlm-dense/model.safetensors'));
});
afterAll(async () => {
  await open.close();
  await folder.remove();
});
beforeEach(async () => {
  set = join(folder.path, `set ${Math.random().toString(36).slice(2)}`);
  await mkdir(set);
  await open.client.caption.remove({ itemIds: (await open.client.caption.ids({ filter: {} })).ids });
});

describe('models', () => {
  test.each([
    ['evlm-dense', 'evlm', true],
    ['mllama-f32', 'mllama', false],
    ['mplugowl3-joint', 'mplugowl3', true],
  ])('%s is ready, says what it can look at, and captions', async (name, family, severalAtOnce) => {
    const model = await addModel(open, join(golden, name, 'model.safetensors'));
    const known = (await open.client.models.list({})).find(({ id }) => id === model);
    expect(known).toMatchObject({ status: 'ready', capabilities: ['caption'], problem: null });
    const info = await open.client.caption.describe({ modelId: model });
    expect(info.family).toBe(family);
    expect(info.mostPictures > 1).toBe(severalAtOnce);
    expect((await open.client.models.fit({ modelId: model, contextLength: null })).neededBytes).toBeGreaterThan(0);
    await picture('a.png', '#c02040');
    await add();
    expect(await run({ model })).toMatchObject({ status: 'done', note: '1 captioned' });
    expect((await list())[0]).toMatchObject({ state: 'done', width: 40, height: 28, error: null });
  });

  test('a chat model captions nothing, and says so', async () => {
    const chat = await addModel(open, join(import.meta.dirname, '../golden/text/llama2-f32/model.safetensors'));
    await expect(open.client.caption.describe({ modelId: chat })).rejects.toMatchObject({ code: 'not-supported' });
  });
});

describe('captions', () => {
  test('of the same picture are the same with the same seed', async () => {
    await picture('a.png', '#c02040');
    await add();
    const warm = settings({ temperature: 1 });
    await run({ settings: warm });
    const first = (await list())[0]?.text;
    await run({ settings: warm });
    expect((await list())[0]?.text).toBe(first);
    await run({ settings: { ...warm, seed: 8 } });
    expect((await list())[0]?.text).not.toBe(first);
  });

  test('what cannot be opened is a row with its reason, and the others are captioned', async () => {
    await picture('a.png', '#c02040');
    await picture('b.jpg', '#20c040');
    await writeFile(join(set, 'c.jpg'), 'Dear diary,\nnothing today.');
    await writeFile(join(set, 'd.png'), (await readFile(join(set, 'a.png'))).subarray(0, 60));
    await picture('e.png', '#2040c0');
    await add();
    await rm(join(set, 'e.png'));
    expect(await run()).toMatchObject({ status: 'done', note: '2 captioned, 3 failed' });
    const rows = (await list()).map(({ name, state, error }) => [name, state, error?.message ?? '']);
    expect(rows).toEqual([
      ['a.png', 'done', ''],
      ['b.jpg', 'done', ''],
      ['c.jpg', 'failed', expect.stringContaining('"c.jpg" is a text file')],
      ['d.png', 'failed', expect.stringContaining('"d.png" is damaged')],
      ['e.png', 'failed', expect.stringContaining('"e.png" cannot be read')],
    ]);
  });

  describe('interrupted at a picture that takes its time', () => {
    let slowId: string;
    let jobId: string;

    beforeEach(async () => {
      for (let at = 0; at < 6; at += 1) await picture(`${at}.png`, `#${at}0${at}0${at}0`);
      // Decoding it alone takes longer than a change takes to be told.
      await picture('2 large.jpg', '#405060', 9000, 7000);
      await add();
      const found = (await list()).find(({ name }) => name === '2 large.jpg');
      slowId = found?.id ?? '';
      ({ jobId } = await open.client.caption.start({ modelId, settings: settings(), itemIds: null }));
      await watch(
        (event) => event.type === 'items' && event.items.some(({ id, state }) => id === slowId && state === 'running'),
      );
    });

    test('by the engine’s end: that item says why, all others are done', async () => {
      const { pid } = open.studio.engine.status();
      if (pid !== null) process.kill(pid, 'SIGKILL');
      expect(await ended(jobId)).toMatchObject({ status: 'done', note: '6 captioned, 1 failed' });
      const failed = (await list()).filter(({ state }) => state === 'failed');
      expect(failed.map(({ id, error }) => [id, error?.code])).toEqual([[slowId, 'engine-crashed']]);
      expect(failed[0]?.error?.message).toContain('captioned with "evlm-dense"');
    });

    test('by a pause: it waits, and the batch goes on', async () => {
      await open.client.jobs.pause({ jobId });
      const { counts } = await open.client.caption.summary({});
      expect(counts).toMatchObject({ running: 0, failed: 0 });
      expect(counts.waiting).toBeGreaterThan(0);
      await open.client.jobs.resume({ jobId });
      expect(await ended(jobId)).toMatchObject({ status: 'done', note: '7 captioned' });
    });
  });

  test('a picture is shown small and upright; one that is damaged says so each time', async () => {
    await picture('a.png', '#c02040', 400, 200);
    await writeFile(join(set, 'b.png'), 'no picture');
    await add();
    const [good, bad] = await list();
    const shown = await open.client.caption.picture({ itemId: good?.id ?? '', side: 64 });
    const facts = await sharp(shown?.bytes ?? new Uint8Array()).metadata();
    expect([facts.format, facts.width, facts.height]).toEqual(['webp', 64, 32]);
    for (const side of [64, 64, 128]) {
      await expect(open.client.caption.picture({ itemId: bad?.id ?? '', side })).rejects.toMatchObject({
        code: 'bad-file',
      });
    }
  });

  test('a question is answered, and the next one knows it', async () => {
    await picture('a.png', '#c02040');
    await add();
    const itemId = (await list())[0]?.id ?? '';
    const ask = async (history: { role: 'user' | 'assistant'; text: string }[]): Promise<string> => {
      let text = '';
      const { maxTokens, temperature, seed, sampling } = settings();
      const request = {
        itemId,
        modelId,
        question: 'Which colour?',
        history,
        settings: { maxTokens, temperature, seed, sampling },
      };
      for await (const event of open.client.caption.ask(request)) ({ text } = event);
      return text;
    };
    const first = await ask([]);
    const second = await ask([
      { role: 'user', text: 'What is it?' },
      { role: 'assistant', text: 'A square.' },
    ]);
    expect(first).not.toBe('');
    expect(second).not.toBe(first);
  });
});

describe('a clip', () => {
  /** A page that "decodes": red in the first half, blue in the second. */
  async function answer({ requestId, want }: ClipRequest): Promise<void> {
    const { caption } = open.client;
    if (want.type === 'facts') {
      await caption.giveFacts({ requestId, facts: { seconds: 4, width: 32, height: 16, codec: 'avc' } });
      return;
    }
    const [width, height] = want.type === 'small' ? [want.width, want.height] : [32, 16];
    const frames = want.seconds.map((seconds) => {
      const pixel = seconds < 2 ? [220, 0, 0, 255] : [0, 0, 220, 255];
      const bytes = Uint8Array.from({ length: width * height * 4 }, (_, at) => pixel[at % 4] ?? 0);
      return { seconds, width, height, encoding: 'rgba' as const, bytes };
    });
    await caption.giveFrames({ requestId, frames, isLast: true });
  }
  async function decode(signal: AbortSignal, whenThere: () => void): Promise<void> {
    try {
      for await (const event of open.client.caption.watch({ canDecodeClips: true }, { signal })) {
        whenThere();
        if (event.type === 'wanted') await answer(event.request);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  test('is decoded by the page and captioned scene by scene; its frames are there for the timeline', async () => {
    await writeFile(join(set, 'run.mp4'), 'whatever the page makes of it');
    await add();
    // The page is there before the job: where none is, ffmpeg would be asked.
    const closing = new AbortController();
    const there = Promise.withResolvers<void>();
    const page = decode(closing.signal, there.resolve);
    await there.promise;
    expect(await run({ settings: settings({ sampling: { kind: 'scenes', framesPerScene: 2 } }) })).toMatchObject({
      status: 'done',
    });
    closing.abort();
    await page;
    const [item] = await list();
    expect(item).toMatchObject({ state: 'done', seconds: 4, width: 32, height: 16 });
    expect(item?.segments.map(({ start, end, frames }) => [start, end, frames.length])).toEqual([
      [0, 2, 2],
      [2, 4, 2],
    ]);
    const seconds = item?.segments[1]?.frames[0] ?? 0;
    const shown = await open.client.caption.picture({ itemId: item?.id ?? '', side: 160, seconds });
    const { dominant } = await sharp(shown?.bytes ?? new Uint8Array()).stats();
    expect(dominant.b).toBeGreaterThan(dominant.r);
    const { bytes } = await open.client.caption.exportBytes({ format: 'srt', itemIds: null });
    expect(Buffer.from(bytes).toString()).toContain('00:00:02,000 --> 00:00:04,000');
  });
});

describe('on the command line', () => {
  const model = join(golden, 'evlm-dense');
  // Warm: the likeliest words of a model that learned nothing are spaces.
  const usual = (): string[] => [
    '--temperature',
    '1',
    '--seed',
    '7',
    '--max-tokens',
    '12',
    '--data',
    join(folder.path, 'cli'),
  ];

  beforeAll(async () => {
    const cli = await openStudio(join(folder.path, 'cli'));
    await cli.client.settings.update({ patch: { threads: 1 } });
    await cli.close();
  });

  test('captions a folder, writes beside, and leaves out what is there already when asked to', async () => {
    await picture('a.png', '#c02040');
    await mkdir(join(set, 'in'));
    await picture('in/b.jpg', '#20c040');
    await writeFile(join(set, 'a.txt'), 'mine');
    const args = ['caption', set, '--model', model, '--prefix', 'ohwx', ...usual()];
    const first = await runLutra([...args, '--recursive', '--skip-existing']);
    expect(first.code).toBe(0);
    expect(await readFile(join(set, 'a.txt'), 'utf8')).toBe('mine');
    expect(await readFile(join(set, 'in/b.txt'), 'utf8')).toMatch(/^ohwx /);
    const second = await runLutra([...args, '--json']);
    const { items } = JSON.parse(second.stdout) as { items: { file: string; written: string }[] };
    expect(items.map(({ file, written }) => [file, written])).toEqual([[join(set, 'a.png'), join(set, 'a.txt')]]);
    expect(await readFile(join(set, 'a.txt'), 'utf8')).toMatch(/^ohwx /);
  });

  test('what fails is named and makes the command fail; the others are written, as a table too', async () => {
    await picture('a.png', '#c02040');
    await writeFile(join(set, 'b.jpg'), 'Dear diary');
    const out = join(folder.path, 'out');
    const paths = [set, join(set, 'gone.png')];
    const { code, stderr } = await runLutra([
      'caption',
      ...paths,
      '--model',
      model,
      '--format',
      'csv',
      '--out',
      out,
      ...usual(),
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain('"b.jpg" is a text file');
    expect(stderr).toContain('gone.png');
    expect(await readdir(out)).toEqual(['captions.csv']);
    expect((await readFile(join(out, 'captions.csv'), 'utf8')).split('\r\n')[1]).toMatch(/^a\.png,picture,,,/);
  });

  test('used wrongly, it says how', async () => {
    expect((await runLutra(['caption', set])).code).toBe(2);
    expect((await runLutra(['caption', set, '--model', model, '--preset', 'haiku'])).code).toBe(2);
    const both = await runLutra(['caption', set, '--model', model, '--frames', '4', '--scenes', ...usual()]);
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('exclude each other')]);
    const none = await runLutra(['caption', set, '--model', model, ...usual()]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('no picture')]);
  });
});
