/** Sounds through the studio and the command line, on tiny models in the published layouts. */
import { execFileSync } from 'node:child_process';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audioSettingsSchema } from '../../contract/audio.ts';
import type { AudioSettings, AudioSource, AudioTake } from '../../contract/audio.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { runLutra, temporaryFolder } from '../fixtures/host.ts';
import { addModel, openStudio } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

const golden = join(import.meta.dirname, '../golden/audio');
/** A window long enough that a run takes its time. */
const longWindow = 32 * 8192;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let open: OpenStudio;
let modelId: string;
let slowId: string;

const settings = (patch: Partial<AudioSettings> = {}): AudioSettings =>
  audioSettingsSchema.parse({ prompt: 'Warm rain', seconds: 0.04, seed: 7, weights: 'f32', ...patch });

interface Outcome {
  readonly takes: AudioTake[];
  readonly error: ErrorData | null;
  readonly steps: number[];
  readonly cut: string;
}

/** Runs one request to its end. */
async function run(
  wanted: AudioSettings,
  source: AudioSource | null = null,
  onStep: (runId: string) => void = () => undefined,
  model = modelId,
): Promise<Outcome> {
  const abort = new AbortController();
  const watched = open.client.audio.watch({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await watched.next();
  const { runId } = await open.client.audio.generate({ modelId: model, settings: wanted, source });
  const takes: AudioTake[] = [];
  const steps: number[] = [];
  let error: ErrorData | null = null;
  let cut = '';
  let isSeen = false;
  for await (const event of { [Symbol.asyncIterator]: () => watched }) {
    if (event.type === 'made') takes.push(event.take);
    if (event.type === 'failed') ({ error } = event);
    if (event.type !== 'run') continue;
    if (event.run?.id === runId) {
      isSeen = true;
      ({ cutPrompt: cut } = event.run);
      if (event.run.stage === 'steps') {
        steps.push(event.run.done);
        onStep(runId);
      }
    } else if (isSeen || takes.length > 0 || error !== null) break;
  }
  abort.abort();
  return { takes, error, steps, cut };
}

async function samplesOf(takeId: string): Promise<Uint8Array> {
  const format = { format: 'wav', bitDepth: 32, normalize: 'off' } as const;
  return (await open.client.audio.file({ takeId, format, region: null })).bytes;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await cp(join(golden, 'small-single'), join(folder.path, 'small'), { recursive: true });
  await cp(join(golden, 'open-single'), join(folder.path, 'slow'), { recursive: true });
  const config = join(folder.path, 'slow/model_config.json');
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace(/"sample_size": \d+/, `"sample_size": ${longWindow}`));
  open = await openStudio(join(folder.path, 'data'));
  modelId = await addModel(open, join(folder.path, 'small/model.safetensors'));
  slowId = await addModel(open, join(folder.path, 'slow/model.safetensors'));
});
afterAll(async () => {
  await open.close();
  await folder.remove();
});

describe('a model', () => {
  test('is ready and says what it can do', async () => {
    const models = await open.client.models.list({});
    expect(models.map(({ kind, status, capabilities }) => ({ kind, status, capabilities }))).toEqual(
      models.map(() => ({ kind: 'stable-audio', status: 'ready', capabilities: ['audio'] })),
    );
    expect(models).toHaveLength(2);
    expect(await open.client.audio.describe({ modelId })).toMatchObject({
      sampleRate: 44_100,
      samplers: ['pingpong', 'euler', 'dpmpp'],
      defaults: { steps: 8, guidance: 1 },
      canStartFromSound: true,
      problem: null,
    });
  });

  test('may ask in its own configuration for a sampler, steps and guidance', async () => {
    const place = join(folder.path, 'own/own');
    await cp(join(folder.path, 'small'), place, { recursive: true });
    const config = join(place, 'model_config.json');
    const text = await readFile(config, 'utf8');
    const asking = (defaults: object): Promise<void> =>
      writeFile(config, JSON.stringify({ ...(JSON.parse(text) as object), defaults }));
    await asking({ sampler: 'euler', steps: 5, guidance: 2 });
    const own = await addModel(open, join(place, 'model.safetensors'));
    expect(await open.client.audio.describe({ modelId: own })).toMatchObject({
      samplers: ['euler', 'pingpong', 'dpmpp'],
      defaults: { steps: 5, guidance: 2 },
    });
    const { takes } = await run(settings(), null, () => undefined, own);
    expect(takes[0]?.settings).toMatchObject({ sampler: 'euler', steps: 5, guidance: 2 });
    await asking({ steps: 'many' });
    await expect(open.client.audio.describe({ modelId: own })).rejects.toThrow('defaults.steps');
    await open.client.models.remove({ modelId: own });
  });

  test('without a text encoder says what to put where', async () => {
    await cp(join(folder.path, 'small'), join(folder.path, 'bare/bare'), { recursive: true });
    await rm(join(folder.path, 'bare/bare/t5-base'), { recursive: true });
    const bare = await addModel(open, join(folder.path, 'bare/bare/model.safetensors'));
    const { problem } = await open.client.audio.describe({ modelId: bare });
    expect(problem?.message).toContain('T5');
    await expect(open.client.audio.generate({ modelId: bare, settings: settings(), source: null })).rejects.toThrow(
      'T5',
    );
  });
});

describe('takes', () => {
  test('count up their seeds, and one made again from its settings is the same', async () => {
    const { takes, error } = await run(settings({ takes: 2 }));
    expect(error).toBeNull();
    expect(takes.map(({ seed }) => seed)).toEqual([7, 8]);
    const [first, second] = takes;
    if (first === undefined || second === undefined) throw new Error('Two takes were asked for.');
    expect(first).toMatchObject({ channels: 2, sampleRate: 44_100, name: 'Warm rain', parentId: null });
    expect(first.seconds).toBeCloseTo(0.04, 5);
    expect(await samplesOf(first.id)).not.toEqual(await samplesOf(second.id));
    const again = (await run(second.settings)).takes[0];
    expect(again === undefined ? null : await samplesOf(again.id)).toEqual(await samplesOf(second.id));
  });

  test('are varied and made anew in a part; the rest stays to the sample', async () => {
    const parent = (await run(settings())).takes[0];
    if (parent === undefined) throw new Error('A take was asked for.');
    const source = { takeId: parent.id, region: { start: 0.025, end: 0.03 } };
    const changed = (await run(settings({ seed: 9 }), source)).takes[0];
    expect(changed?.parentId).toBe(parent.id);
    const [old, now] = await Promise.all([samplesOf(parent.id), samplesOf(changed?.id ?? '')]);
    const headBytes = 44 + 400 * 8;
    expect(now.subarray(200, headBytes)).not.toEqual(new Uint8Array(headBytes - 200));
    const values = (bytes: Uint8Array): Float32Array =>
      new Float32Array(Uint8Array.from(bytes.subarray(bytes.length % 4)).buffer);
    const [before, after] = [values(old), values(now)];
    let same = 0;
    for (let at = 0; at < before.length; at += 1) if (before[at] === after[at]) same += 1;
    expect(same).toBeGreaterThan(20);
    expect(same).toBeLessThan(before.length);
    const varied = (await run(settings({ seed: 9, strength: 0.2 }), { takeId: parent.id, region: null })).takes[0];
    expect(varied?.parentId).toBe(parent.id);
  });

  test('are renamed, starred, removed and brought back', async () => {
    const take = (await run(settings())).takes[0];
    const takeId = take?.id ?? '';
    await open.client.audio.rename({ takeId, name: '雨 2' });
    await open.client.audio.star({ takeId, isStarred: true });
    await open.client.audio.remove({ takeId });
    expect((await open.client.audio.takes({})).some(({ id }) => id === takeId)).toBe(false);
    expect(await open.client.audio.restore({ takeId })).toMatchObject({ name: '雨 2', isStarred: true });
    await expect(open.client.audio.rename({ takeId: 'nobody', name: 'x' })).rejects.toThrow('not in the list');
  });

  test('a prompt that is too long says what is not heard', async () => {
    const { cut, takes } = await run(settings({ prompt: `${'rain '.repeat(2000)}thunder`.slice(0, 19_000) }));
    expect(cut).toContain('rain');
    expect(takes).toHaveLength(1);
  });

  test('what cannot be made is refused in words', async () => {
    expect((await run(settings({ seconds: 3 }))).error?.message).toContain('at most');
    expect((await run(settings({ sampler: 'wizard' }))).error).toMatchObject({ subject: 'sampler' });
    const gone = { takeId: 'nobody', region: null };
    expect((await run(settings(), gone)).error?.code).toBe('not-found');
  });
});

describe('what goes wrong in the middle', () => {
  const long = settings({ seconds: 5, steps: 200 });

  test('a cancelled run ends soon, leaves no file, and the next one works', async () => {
    const before = await readdir(join(folder.path, 'data/audio'));
    const outcome = await run(long, null, (runId) => void open.client.audio.cancel({ runId }), slowId);
    expect(outcome.steps.length).toBeGreaterThan(0);
    expect(outcome).toMatchObject({ takes: [], error: null });
    expect(await readdir(join(folder.path, 'data/audio'))).toEqual(before);
    expect((await run(settings())).takes).toHaveLength(1);
  });

  test('a killed engine is told, earlier takes are intact, and the next run works', async () => {
    const before = await open.client.audio.takes({});
    let isKilled = false;
    const kill = (): void => {
      if (isKilled) return;
      isKilled = true;
      void open.client.engine.status({}).then(({ pid }) => {
        if (pid !== null) execFileSync('kill', ['-KILL', String(pid)]);
      });
    };
    const { takes, error } = await run(long, null, kill, slowId);
    expect(takes).toEqual([]);
    expect(error?.message).toMatch(/The engine stopped while it made a sound with "slow"/);
    expect(await open.client.audio.takes({})).toEqual(before);
    expect((await run(settings())).takes).toHaveLength(1);
  });
});

describe('the command line', () => {
  const model = join(golden, 'small-single');

  test('writes a file that repeats itself bit for bit', async () => {
    const [first, second] = [join(folder.path, 'one 雨.wav'), join(folder.path, 'two.wav')];
    const made = await runLutra([
      'audio',
      '--model',
      model,
      '--prompt',
      'rain 雨',
      '--seconds',
      '0.04',
      '--out',
      first,
      '--json',
    ]);
    expect(made.code).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({ files: [{ file: first }] });
    expect((await runLutra(['audio', '--from', first, '--out', second])).code).toBe(0);
    expect(await readFile(second)).toEqual(await readFile(first));
  });

  test('names what is wrong', async () => {
    const out = join(folder.path, 'never.wav');
    const say = async (...args: string[]): Promise<string> => (await runLutra(['audio', '--out', out, ...args])).stderr;
    expect(await say('--model', model)).toContain('no prompt');
    expect(await say('--model', model, '--prompt', 'x', '--seconds', '9')).toContain('at most');
    expect(await say('--model', model, '--prompt', 'x', '--init', join(folder.path, 'no.wav'))).toContain('no.wav');
    expect(await say('--model', model, '--prompt', 'x', '--region', '1-2')).toContain('--init');
    expect(await say('--model', join(folder.path, 'data'), '--prompt', 'x')).toContain('model_config.json');
    expect(await say('--prompt', 'x')).toContain('--model');
    await expect(readFile(out)).rejects.toThrow();
  });

  test('gives every stage for comparison', async () => {
    const out = join(folder.path, 'stages.npz');
    const inputs = join(model, 'inputs.npz');
    const { code, stdout } = await runLutra([
      'eval',
      'audio',
      '--model',
      model,
      '--inputs',
      inputs,
      '--out',
      out,
      '--json',
    ]);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { stages: string[] }).stages).toEqual(
      expect.arrayContaining(['text_states', 'velocity', 'denoised_latents', 'decoded_audio', 'encoded_mean']),
    );
    expect((await readFile(out)).length).toBeGreaterThan(10_000);
  });
});
