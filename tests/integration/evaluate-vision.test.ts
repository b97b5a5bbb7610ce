/** Models that look, through the command line, against what the reference classes and processors gave. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runLutra, temporaryFolder } from '../fixtures/host.ts';

const golden = join(import.meta.dirname, '../golden/vision');

interface Values {
  readonly shape: number[];
  readonly values: Float32Array;
}

/** The numbers of an `.npz`, whole ones as floats too. */
async function readNpz(path: string): Promise<Map<string, Values>> {
  const entries = Object.entries(unzipSync(await readFile(path)));
  return new Map(entries.map(([name, bytes]) => [name.replace(/\.npy$/, ''), parseNpy(bytes)]));
}

function parseNpy(file: Uint8Array): Values {
  const headerAt = 10;
  const start = headerAt + new DataView(file.buffer, file.byteOffset).getUint16(8, true);
  const header = new TextDecoder().decode(file.subarray(headerAt, start));
  const [, type = ''] = /'descr': '<?([a-z]\d)'/.exec(header) ?? [];
  const [, list = ''] = /'shape': \(([^)]*)\)/.exec(header) ?? [];
  const data = Uint8Array.from(file.subarray(start)).buffer;
  const shape = list.split(',').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]));
  if (type === 'f4') return { shape, values: new Float32Array(data) };
  if (type === 'i4') return { shape, values: Float32Array.from(new Int32Array(data)) };
  return { shape, values: Float32Array.from(new BigInt64Array(data), Number) };
}

/** The largest difference as a share of the range. */
function worst(actual: Values | undefined, expected: Values | undefined): number {
  if (actual === undefined || expected === undefined) return Number.POSITIVE_INFINITY;
  expect(actual.shape).toEqual(expected.shape);
  let difference = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const [at, value] of expected.values.entries()) {
    difference = Math.max(difference, Math.abs(value - (actual.values[at] ?? Number.NaN)));
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return difference / (most - least);
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

test.each(['mllama-bf16', 'evlm-mixture', 'mplugowl3-gated'])('every stage of %s is the reference’s', async (name) => {
  const out = join(folder.path, `${name}.npz`);
  const model = join(golden, name);
  const { code, stdout } = await runLutra([
    'eval',
    'vision',
    '--model',
    model,
    '--inputs',
    join(model, 'inputs.npz'),
    '--out',
    out,
    '--json',
  ]);
  expect(code).toBe(0);
  const { stages } = JSON.parse(stdout) as { stages: string[] };
  const [actual, expected] = await Promise.all([readNpz(out), readNpz(join(model, 'expected.npz'))]);
  expect(stages.toSorted()).toEqual([...actual.keys()].toSorted());
  for (const stage of ['vision_features', 'cross_attention_states', 'logits'])
    expect(worst(actual.get(stage), expected.get(stage))).toBeLessThan(1e-4);
});

test('a picture file becomes the processor’s pixels', async () => {
  const out = join(folder.path, 'picture.npz');
  const image = join(golden, 'pictures/scene.png');
  const { code } = await runLutra([
    'eval',
    'vision',
    '--model',
    join(golden, 'mllama-f32'),
    '--image',
    image,
    '--out',
    out,
  ]);
  expect(code).toBe(0);
  const [actual, expected] = await Promise.all([readNpz(out), readNpz(join(golden, 'pictures/mllama.npz'))]);
  expect([...actual.keys()].toSorted()).toEqual(['aspect_ratio_ids', 'aspect_ratio_mask', 'pixel_values']);
  for (const [name, values] of actual) expect(worst(values, expected.get(`97x61/${name}`)) || 0).toBeLessThan(1e-5);
});

test('what is missing is named', async () => {
  const out = join(folder.path, 'never.npz');
  const model = join(golden, 'evlm-dense');
  const say = async (...args: string[]): Promise<string> =>
    (await runLutra(['eval', 'vision', '--model', model, '--out', out, ...args])).stderr;
  expect(await say()).toContain('--image');
  expect(await say('--image', join(folder.path, 'no.png'))).toContain('no.png');
  await expect(readFile(out)).rejects.toThrow();
});
