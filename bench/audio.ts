/**
 * Sounds at the published models' shapes with random weights, by hand:
 *   node bench/audio.ts [folder for some 3 GB of files] [--model small|open] [--seconds 11]
 * LUTRA_PYTHON, where given, is a Python with torch and diffusers: its autoencoder and transformer are then timed in
 * the same run, taking turns with our f32 steps and decodes; narrower weights follow. Medians of three. A guided step
 * counts as two, though the branch without a prompt needs less.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { audioEvents, audioEventUnit, loadAddon } from '../main/engine/addon.ts';
import type { AudioModel, AudioModelOptions } from '../main/engine/addon.ts';
import { shapes, writeAudioFolder } from './audio/checkpoint.ts';

const threads = 2;
const rounds = 3;
const steps = 4;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'small' },
    seconds: { type: 'string', default: '11' },
    /** How the bench calls itself: one kind of weights in a process of its own, for its peak of memory. */
    alone: { type: 'string' },
  },
});
const shape = values.model === 'open' ? shapes.open : shapes.small;
const seconds = Number(values.seconds);
const sampleRate = 44_100;
const hop = 2048;
const frames = Math.ceil((seconds * sampleRate) / hop);
const repository = resolve(import.meta.dirname, '..');
const folder = join(positionals[0] ?? join(tmpdir(), 'lutra-audio-bench'), values.model);

const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

/** Multiplications and additions of a step (one branch) and of decoding a latent frame, in GFLOP. */
const tokens = frames + 1;
const { width, depth, kvWidth, contextWidth } = shape;
const contextTokens = (shape.name === 'Small' ? 64 : 128) + shape.numbers.length;
const stepGflop =
  (2 *
    depth *
    (tokens * width * (3 * width + width + 2 * width + 12 * width) +
      contextTokens * contextWidth * 2 * kvWidth +
      2 * tokens * (tokens + contextTokens) * width)) /
  1e9;
const frameGflop = 5.04;

interface Times {
  readonly step: number;
  readonly decode: number;
}

const prompt = {
  ids: new Int32Array(contextTokens - shape.numbers.length).fill(5),
  mask: new Int32Array(contextTokens - shape.numbers.length).fill(1),
};

async function once(model: AudioModel, guidance: number, count: number): Promise<Times> {
  const marks: number[] = [];
  let decodeBegun = 0;
  let decoded = 0;
  await model.generate(
    {
      prompt,
      negative: null,
      secondsStart: 0,
      secondsTotal: seconds,
      frames,
      sampler: '',
      steps: count,
      sigmaMin: 0.3,
      sigmaMax: 500,
      rho: 1,
      strength: 1,
      guidance,
      guidanceRescale: 0,
      seed: 1,
      init: null,
      change: null,
    },
    (event, total) => {
      const done = event % audioEventUnit;
      if (Math.floor(event / audioEventUnit) === audioEvents.step) {
        marks.push(performance.now());
        if (done === total) decodeBegun = performance.now();
      } else if (done === total) decoded = performance.now();
    },
  );
  const gaps = marks.slice(1).map((mark, at) => mark - (marks[at] ?? mark));
  return { step: median(gaps) / 1000, decode: (decoded - decodeBegun) / 1000 };
}

/** diffusers' parts of the same shape on the same threads; null where there is no Python for it. */
function reference(): (Times & { memoryBytes: number }) | null {
  const python = process.env['LUTRA_PYTHON'];
  if (python === undefined) return null;
  const script = join(import.meta.dirname, 'audio/reference.py');
  const { stdout, status, stderr } = spawnSync(
    python,
    [script, values.model, String(frames), String(contextTokens), String(threads)],
    { encoding: 'utf8', maxBuffer: 1e8 },
  );
  if (status !== 0) throw new Error(stderr.slice(-2000));
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Times & { memoryBytes: number };
}

if (!existsSync(join(folder, 'model.safetensors')))
  await writeAudioFolder(
    folder,
    shape,
    join(repository, 'tests/golden/audio', values.model === 'open' ? 'open-single' : 'small-single'),
  );
const addon = await loadAddon(join(repository, `build/native/${process.platform}-${process.arch}`), false);

/** One take in a process of its own. */
function peakBytes(weights: string): number {
  const args = [import.meta.filename, ...positionals, '--model', values.model, '--seconds', values.seconds];
  return Number(execFileSync(process.execPath, [...args, '--alone', weights], { encoding: 'utf8' }));
}

if (values.alone !== undefined) {
  const weights = values.alone as NonNullable<AudioModelOptions['weights']>;
  const model = await addon.loadAudioModel({ path: folder, textEncoder: '', weights, threads }, () => undefined);
  await once(model, 1, 2);
  process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
  process.exit(0);
}

const row = (name: string, time: number, gflop: number, note = ''): void => {
  process.stdout.write(`| ${name} | ${time.toFixed(3)} s | ${(gflop / time).toFixed(0)} GFLOP/s | ${note} |\n`);
};
const machineFile = join(folder, 'machine');
const machineSource = join(repository, 'native/bench/machine.cpp');
execFileSync('c++', ['-std=c++20', '-O3', '-march=native', '-pthread', machineSource, '-o', machineFile]);
const machine = JSON.parse(execFileSync(machineFile, [String(threads)], { encoding: 'utf8' })) as {
  f32OperationsPerSecond: number;
};
process.stdout.write(`f32 peak of the machine: ${(machine.f32OperationsPerSecond / 1e9).toFixed(0)} GFLOP/s\n`);
process.stdout.write(`Stable Audio Open ${shape.name}, ${seconds} s (${frames} latent frames), ${threads} threads\n`);
const decodeTimes: number[] = [];
const theirs: (Times & { memoryBytes: number })[] = [];
const stepTimes = new Map<string, number>();
for (const weights of ['f32', 'bf16', 'q8', 'lut4'] as const satisfies AudioModelOptions['weights'][]) {
  const begun = performance.now();
  const model = await addon.loadAudioModel({ path: folder, textEncoder: '', weights, threads }, () => undefined);
  const loading = (performance.now() - begun) / 1000;
  const plain: number[] = [];
  const guided: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const one = await once(model, 1, steps);
    plain.push(one.step);
    decodeTimes.push(one.decode);
    guided.push((await once(model, 4, steps)).step);
    if (weights === 'f32') {
      const other = reference();
      if (other !== null) theirs.push(other);
    }
  }
  stepTimes.set(weights, median(plain));
  row(`step, ${weights}`, median(plain), stepGflop, `loaded in ${loading.toFixed(1)} s`);
  row(
    `step, ${weights}, guided`,
    median(guided),
    2 * stepGflop,
    `${(model.info().weightBytes / 2 ** 20).toFixed(0)} MiB of weights`,
  );
  if (weights === 'q8') {
    const whole = performance.now();
    await once(model, shape.name === 'Small' ? 1 : 7, 8);
    const total = (performance.now() - whole) / 1000;
    process.stdout.write(`8 steps and decoding, q8: ${total.toFixed(2)} s for ${seconds} s of sound\n`);
  }
  model.close();
}
const decode = median(decodeTimes);
row('decoding', decode, frameGflop * frames, `${(decode / seconds).toFixed(3)} s per second of sound`);
const peaks = new Map([...stepTimes.keys()].map((weights) => [weights, peakBytes(weights)]));
for (const [weights, bytes] of peaks)
  process.stdout.write(`peak memory of a take, ${weights}: ${(bytes / 2 ** 20).toFixed(0)} MiB\n`);
if (theirs.length > 0) {
  const step = median(theirs.map((times) => times.step));
  const other = median(theirs.map((times) => times.decode));
  const memory = median(theirs.map(({ memoryBytes }) => memoryBytes));
  process.stdout.write(
    `torch: step ${step.toFixed(3)} s, decoding ${other.toFixed(3)} s, ${(memory / 2 ** 20).toFixed(0)} MiB\n`,
  );
  for (const [weights, time] of stepTimes) {
    const ofTheirs = (peaks.get(weights) ?? 0) / memory;
    process.stdout.write(`step, ${weights}: ${(step / time).toFixed(2)}x, ${ofTheirs.toFixed(2)} of the memory\n`);
  }
  process.stdout.write(`decoding: ${(other / decode).toFixed(2)}x\n`);
}
process.exit(0);
