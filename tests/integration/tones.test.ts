import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowance, demoModel } from '../fixtures/demos.ts';
import { repository, runLutra, temporaryFolder } from '../fixtures/host.ts';

interface Wanted {
  readonly prompt: string;
  readonly seed: number;
  readonly hertz: number;
  readonly side: 'left' | 'centre' | 'right';
}

const { path: model, isHere, fastSubset } = demoModel('lutra-tones');
/** As long as in reference/train/evaluate_tones.py. */
const seconds = '1.5';
const bytesPerSample = 2;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let wanted: Wanted[];
const takes: { readonly left: Float64Array; readonly right: Float64Array; readonly rate: number }[] = [];

/** Samples of a stereo WAV file of 16 bits. */
function readWav(bytes: Buffer): (typeof takes)[number] {
  const data = bytes.indexOf('data') + 8;
  const frames = Math.floor(bytes.readUInt32LE(data - 4) / bytesPerSample / 2);
  const side = (offset: number): Float64Array =>
    Float64Array.from(
      { length: frames },
      (_, at) => bytes.readInt16LE(data + (2 * at + offset) * bytesPerSample) / 2 ** 15,
    );
  return { left: side(0), right: side(1), rate: bytes.readUInt32LE(24) };
}

const energy = (samples: Float64Array): number => samples.reduce((sum, value) => sum + value * value, 1e-9);

function sideOf({ left, right }: (typeof takes)[number]): string {
  const decibels = 10 * Math.log10(energy(left) / energy(right));
  return decibels > 4 ? 'left' : decibels < -4 ? 'right' : 'centre';
}

/** The first period at which a piece is nearly itself again, by the difference's cumulative mean (YIN, 2002). */
function pitchOf({ left, right, rate }: (typeof takes)[number]): number {
  const samples = energy(left) > energy(right) ? left : right;
  const start = Math.round(rate * 0.3);
  const width = 8192;
  const longest = Math.round(rate / 50);
  const curve = [1];
  let sum = 0;
  for (let lag = 1; lag <= longest; lag += 1) {
    let difference = 0;
    for (let at = start; at < start + width; at += 1) {
      difference += ((samples[at] ?? 0) - (samples[at + lag] ?? 0)) ** 2;
    }
    sum += difference;
    curve.push((difference * lag) / Math.max(sum, 1e-12));
  }
  const first = Math.round(rate / 2500);
  let lag = curve.findIndex((value, at) => at >= first && value < 0.15);
  if (lag < 0) lag = curve.indexOf(Math.min(...curve.slice(first)));
  while ((curve[lag + 1] ?? 1) < (curve[lag] ?? 0)) lag += 1;
  return rate / lag;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  if (!isHere) return;
  wanted = JSON.parse(await readFile(join(repository, 'tests/golden/tones/prompts.json'), 'utf8')) as Wanted[];
  for (const [at, { prompt, seed }] of wanted.entries()) {
    const out = join(folder.path, `${String(at)}.wav`);
    const what = ['--prompt', prompt, '--seed', String(seed), '--seconds', seconds, '--normalize', 'off'];
    const how = ['--bit-depth', '16', '--out', out, '--data', join(folder.path, 'data')];
    const { code, stderr } = await runLutra(['audio', '--model', model, ...what, ...how]);
    if (code !== 0) throw new Error(`lutra audio ended with ${String(code)}: ${stderr}`);
    takes.push(readWav(await readFile(out)));
  }
}, 120_000);
afterAll(() => folder.remove());

describe.runIf(isHere)('the model for sounds that comes with Lutra', () => {
  test('is small, and brings its card', async () => {
    const { size } = await stat(join(model, 'model.safetensors'));
    expect(size).toBeLessThan(35_000_000);
    expect(await readFile(join(model, 'README.md'), 'utf8')).toContain('held-out');
  });

  test.each(fastSubset)('still follows prompts as when its card was written: %s', (kind, count) => {
    const isRight = (take: (typeof takes)[number], { hertz, side }: Wanted): boolean =>
      kind === 'side' ? sideOf(take) === side : Math.abs(1200 * Math.log2(pitchOf(take) / hertz)) <= 50;
    const right = takes.filter((take, at) => {
      const asked = wanted[at];
      return asked !== undefined && isRight(take, asked);
    });
    expect(right.length).toBeGreaterThanOrEqual(count - allowance(takes.length));
  });
});
