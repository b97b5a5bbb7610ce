/**
 * Our LUT kernels against llama.cpp's types on Llama-3.2-1B's shape with random weights, by hand:
 *   node bench/lut.ts [folder for some 6 GB of files] [--quick]
 * All models are loaded at once and take turns, so that a noisy minute hits all of them; medians are printed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { loadAddon, packageName } from '../main/engine/addon.ts';
import type { TextModel } from '../main/engine/addon.ts';
import { llama1b, writeLutFolder } from './lut/folders.ts';
import { blockTypes, writeGguf } from './lut/gguf.ts';
import type { BlockTypeName } from './lut/gguf.ts';

const threads = 2;
const contextSize = 4096 + 128;
const depth = 4096;
const decodeTokens = 48;
const depthTokens = 24;

interface Runner {
  readonly name: string;
  /** Bytes of weights that each token reads. */
  readonly bytes: number;
  /** Tokens per second. */
  prefill(prompt: readonly number[]): Promise<number>;
  /** Tokens per second after `prompt`, which is kept for the next time. */
  decode(prompt: readonly number[], count: number): Promise<number>;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const prompt = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, index) => 300 + ((index * 7919 + seed * 104_729) % 120_000));

/** The median of the times between tokens, as a speed. */
function speed(times: readonly number[]): number {
  return 1000 / median(times.slice(1).map((time, index) => time - (times[index] ?? 0)));
}

function ours(name: string, model: TextModel): Runner {
  const run = async (ids: readonly number[], maxTokens: number): Promise<{ read: number; times: number[] }> => {
    const begun = performance.now();
    let read = begun;
    const times: number[] = [];
    await model.generate(
      {
        prompt: Int32Array.from(ids),
        endIds: new Int32Array(),
        maxTokens,
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repeatPenalty: 1,
        seed: 1,
      },
      (kind) => {
        if (kind === 0) read = performance.now();
        else times.push(performance.now());
      },
    );
    return { read: read - begun, times };
  };
  return {
    name,
    bytes: model.info().weightBytes,
    prefill: async (ids) => (ids.length * 1000) / (await run(ids, 1)).read,
    decode: async (ids, count) => speed((await run(ids, count)).times),
  };
}

function theirs(name: string, bytes: number, sequence: LlamaContextSequence): Runner {
  let kept: readonly number[] = [];
  const read = async (ids: readonly number[]): Promise<void> => {
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(ids as Token[]);
  };
  return {
    name,
    bytes,
    prefill: async (ids) => {
      await sequence.clearHistory();
      kept = [];
      const begun = performance.now();
      await sequence.evaluateWithoutGeneratingNewTokens(ids as Token[]);
      return (ids.length * 1000) / (performance.now() - begun);
    },
    decode: async (ids, count) => {
      if (kept === ids) await sequence.eraseContextTokenRanges([{ start: ids.length, end: sequence.nextTokenIndex }]);
      else await read(ids);
      kept = ids;
      const times: number[] = [];
      for await (const _token of sequence.evaluate([300 as Token], { temperature: 0, yieldEogToken: true })) {
        times.push(performance.now());
        if (times.length === count) break;
      }
      return speed(times);
    },
  };
}

const folder = process.argv[2]?.startsWith('--') === false ? process.argv[2] : join(tmpdir(), 'lutra-bench');
const isQuick = process.argv.includes('--quick');
await mkdir(folder, { recursive: true });

const machineFile = join(folder, 'machine');
execFileSync('c++', ['-std=c++20', '-O3', '-march=native', '-pthread', 'native/bench/machine.cpp', '-o', machineFile]);
const measureMachine = (): { readBytesPerSecond: number; int8OperationsPerSecond: number } =>
  JSON.parse(execFileSync(machineFile, [String(threads)], { encoding: 'utf8' })) as ReturnType<typeof measureMachine>;

const runners: Runner[] = [];
const loads: string[] = [];
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.error });
const addon = await loadAddon(resolve('build/native', packageName(false)), false);
for (const bits of [4, 3, 2]) {
  for (const groupSize of isQuick ? [64] : [64, 128]) {
    const source = join(folder, `lut-${bits}-${groupSize}`);
    if (!existsSync(join(source, 'config.json'))) await writeLutFolder(source, { shape: llama1b, bits, groupSize });
    const load = async (): Promise<TextModel> =>
      addon.loadTextModel(
        { folder: source, threads, precision: 'fast', contextSize, cacheType: 'f16', device: 'cpu' },
        () => undefined,
      );
    const begun = performance.now();
    const model = await load();
    loads.push(`${bits} bits, group ${groupSize}: ${((performance.now() - begun) / 1000).toFixed(2)} s`);
    runners.push(ours(`Lutra ${bits} bit, group ${groupSize}`, model));
  }
}
for (const name of Object.keys(blockTypes) as BlockTypeName[]) {
  if (name === 'Q6_K' || (isQuick && name !== 'Q4_0' && name !== 'Q4_K')) continue;
  const path = join(folder, `${name}.gguf`);
  if (!existsSync(path)) {
    await writeFile(`${path}.bytes`, String(await writeGguf(`${path}.part`, llama1b, name)));
    await (await import('node:fs/promises')).rename(`${path}.part`, path);
  }
  const bytes = Number(await readFile(`${path}.bytes`, 'utf8').catch(async () => (await stat(path)).size));
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  for (const flashAttention of [false, true]) {
    const context = await model.createContext({ contextSize, sequences: 1, threads, batchSize: 512, flashAttention });
    runners.push(theirs(`llama.cpp ${name}${flashAttention ? ', flash' : ''}`, bytes, context.getSequence()));
  }
}

interface Figures {
  decode: number[];
  prefill512: number[];
  prefill2048: number[];
  deep: number[];
}
const figures = new Map(
  runners.map((runner): [Runner, Figures] => [runner, { decode: [], prefill512: [], prefill2048: [], deep: [] }]),
);
const reads: number[] = [];
const peaks: number[] = [];
const rounds = isQuick ? 3 : 5;
for (let round = 0; round < rounds; round += 1) {
  const machine = measureMachine();
  reads.push(machine.readBytesPerSecond);
  peaks.push(machine.int8OperationsPerSecond);
  for (const [runner, own] of figures) {
    own.decode.push(await runner.decode(prompt(1, round), decodeTokens));
    own.prefill512.push(await runner.prefill(prompt(512, round + 100)));
  }
  process.stderr.write(`round ${round + 1} of ${rounds}\n`);
}
const deepPrompt = prompt(depth, 7);
for (let round = 0; round < (isQuick ? 1 : 2); round += 1) {
  for (const [runner, own] of figures) own.prefill2048.push(await runner.prefill(prompt(2048, round + 200)));
}
for (const [runner, own] of figures) {
  await runner.decode(deepPrompt, 2);
  for (let round = 0; round < 3; round += 1) own.deep.push(await runner.decode(deepPrompt, depthTokens));
  process.stderr.write(`${runner.name} at depth ${depth}\n`);
}

const read = median(reads);
const peak = median(peaks);
const weights = 2 * (1_235_814_400 - llama1b.vocabulary * llama1b.hidden);
process.stdout.write(
  `\nMemory read ${(read / 1e9).toFixed(1)} GB/s, int8 peak ${(peak / 1e9).toFixed(0)} GOP/s, ${threads} threads.\n` +
    `Loading: ${loads.join('; ')}.\n\n` +
    '| | MB per token | decode | of roofline | at 4096 | prefill 512 | of int8 peak | prefill 2048 |\n|---|---|---|---|---|---|---|---|\n',
);
for (const [runner, own] of figures) {
  const decode = median(own.decode);
  const cells = [
    (runner.bytes / 1e6).toFixed(0),
    decode.toFixed(1),
    `${((100 * decode * runner.bytes) / read).toFixed(0)} %`,
    median(own.deep).toFixed(1),
    median(own.prefill512).toFixed(0),
    `${((100 * median(own.prefill512) * weights) / peak).toFixed(0)} %`,
    median(own.prefill2048).toFixed(0),
  ];
  process.stdout.write(`| ${runner.name} | ${cells.join(' | ')} |\n`);
}
process.exit(0);
