/**
 * Cross-attending to pictures against inserting their tokens into the text, by hand:
 *   node bench/vision.ts [folder for some 4 GB of files] [--tokens 256,1024,1601] [--frames 1,4,16,64]
 *                        [--minutes 30] [--plot FILE.svg] [--part insertion|peer] [--threads 2] [--rounds 3] [--cpu]
 * One model in Llama 3.2 Vision's layout (the text part Llama-3.2-1B's shape in 4-bit tables, with a cross-attention layer
 * after every fourth of its layers) does both on the same weights: frames in their places, or as many tokens of text,
 * which its cross-attention layers leave alone. Insertion stops at the frames that `--minutes` allow. With LUTRA_PYTHON,
 * a Python with torch and transformers, `peer` compares a tower and cross-attention layers in f32 with transformers'.
 * `--cpu` counts the processor's time instead of the clock's, divided by the threads: for a machine that does other
 * things, where one thread is the surest, for two wait for each other.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { generateEvents, loadAddon, packageName } from '../main/engine/addon.ts';
import type { Picture, VisionModel } from '../main/engine/addon.ts';
import { imageTokenId, text, tokensOf, towerFlop, writeVisionFolder } from './vision/checkpoint.ts';
import type { VisionShape } from './vision/checkpoint.ts';
import { plot } from './vision/plot.ts';
import type { Line } from './vision/plot.ts';

const textTokens = 64;
const decodeTokens = 12;
/** Keys and values of frames that are kept at once; further frames are those again. */
const distinctFrames = 8;
const sides: Record<string, number> = { 256: 224, 1024: 448, 1601: 560 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '256,1024,1601' },
    frames: { type: 'string', default: '1,4,16,64' },
    minutes: { type: 'string', default: '30' },
    plot: { type: 'string' },
    part: { type: 'string' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    cpu: { type: 'boolean', default: false },
  },
});
const threads = Number(values.threads);
const numbers = (list: string): number[] => list.split(',').map(Number);
const frameCounts = numbers(values.frames);
const home = positionals[0] ?? join(tmpdir(), 'lutra-vision-bench');
const addon = await loadAddon(resolve('build/native', packageName(false)), false);
/** Seconds. */
const now = (): number => {
  if (!values.cpu) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 / threads;
};
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

async function modelOf(name: string, shape: VisionShape, precision: 'exact' | 'fast'): Promise<VisionModel> {
  const folder = join(home, name);
  if (!existsSync(join(folder, 'config.json'))) await writeVisionFolder(folder, shape);
  return addon.loadVisionModel(
    { folder, threads, precision, contextSize: 120_000, cacheType: 'f16', device: 'cpu' },
    () => undefined,
  );
}

function pictureOf(side: number, seed: number): Picture {
  const rgb = Uint8Array.from({ length: side * side * 3 }, (_, at) => (at * 31 + seed * 97) % 251);
  return { width: side, height: side, rgb };
}

/** Seconds in the tower, and in what comes after it: the projector and every layer's keys and values. */
async function look(model: VisionModel, key: string, side: number): Promise<{ tower: number; keys: number }> {
  const picture = { ...pictureOf(side, key.length), cut: false };
  const begun = now();
  let last = begun;
  await model.see(key, picture, () => {
    last = now();
  });
  return { tower: last - begun, keys: now() - last };
}

const words = (count: number): number[] => Array.from({ length: count }, (_, at) => 300 + ((at * 7919) % 120_000));

/** Seconds until the prompt is read, and between tokens after it. */
async function answer(
  model: VisionModel,
  prompt: readonly number[],
  pictures: readonly string[],
): Promise<{ prefill: number; decode: number }> {
  const begun = now();
  let read = begun;
  const marks: number[] = [];
  await model.generate(
    {
      prompt: Int32Array.from(prompt),
      endIds: new Int32Array(),
      pictures,
      maxTokens: decodeTokens,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repeatPenalty: 1,
      seed: 1,
    },
    (kind) => {
      if (kind === generateEvents.reading) read = now();
      else marks.push(now());
    },
  );
  const gaps = marks.slice(1).map((mark, at) => mark - (marks[at] ?? mark));
  return { prefill: read - begun, decode: median(gaps) };
}

interface Row {
  readonly frames: number;
  readonly prefill: number;
  readonly decode: number;
  readonly cacheBytes: number;
  readonly flop: number;
}

const selfLayers = text.layers;
const crossCount = 4;
const layerParameters =
  2 * text.hidden * text.headSize * (text.heads + text.keyValueHeads) + 3 * text.hidden * text.intermediate;
const keyWidth = text.keyValueHeads * text.headSize;

/** The formulae of multiplications and additions for `frames` of `n` tokens; the head counts for one token. */
function insertionFlop(frames: number, n: number): number {
  const all = frames * n + textTokens;
  return 2 * selfLayers * layerParameters * all + 2 * selfLayers * text.hidden * all ** 2;
}
function crossFlop(frames: number, n: number): number {
  const queries = textTokens + frames;
  const crossParameters = layerParameters - 2 * text.hidden * keyWidth;
  return (
    2 * (selfLayers * layerParameters + crossCount * crossParameters) * queries +
    2 * selfLayers * text.hidden * queries ** 2 +
    4 * crossCount * text.hidden * keyWidth * frames * n +
    4 * crossCount * text.hidden * queries * frames * n
  );
}

/** Frames in their places: keys and values of each, and the text. */
async function crossAttended(model: VisionModel, frames: number, n: number, side: number): Promise<Row> {
  const kept = Math.min(frames, distinctFrames);
  let keys = 0;
  for (let frame = 0; frame < kept; frame += 1) keys += (await look(model, `${n} `.padEnd(8 + frame, 'x'), side)).keys;
  const names = Array.from({ length: frames }, (_, at) => `${n} `.padEnd(8 + (at % kept), 'x'));
  const prompt = [...names.map(() => imageTokenId), ...words(textTokens)];
  const { prefill, decode } = await answer(model, prompt, names);
  const { cacheBytes, pictureBytes } = model.info();
  for (const name of new Set(names)) model.forget(name);
  return {
    frames,
    prefill: prefill + (keys * frames) / kept,
    decode,
    cacheBytes: cacheBytes + (pictureBytes * frames) / kept,
    flop: crossFlop(frames, n),
  };
}

async function compareInsertion(): Promise<void> {
  const lines: Line[] = [];
  for (const tokens of numbers(values.tokens)) {
    const side = sides[tokens] ?? 224;
    const shape: VisionShape = {
      layers: selfLayers + crossCount,
      crossLayers: [3, 8, 13, 18],
      bits: 4,
      tower: { layers: 1, global: 1, taps: [0] },
      imageSize: side,
      tiles: 1,
    };
    const n = tokensOf(shape);
    const model = await modelOf(`llm-${tokens}`, shape, 'fast');
    // Warm: the first run of a graph is slower.
    await answer(model, words(textTokens), []);
    const crossed: Row[] = [];
    for (const frames of frameCounts) crossed.push(await crossAttended(model, frames, n, side));
    model.close();
    const plain = await modelOf(`llm-${tokens}`, shape, 'fast');
    await answer(plain, words(textTokens), []);
    const inserted: Row[] = [];
    let prefill = 0;
    const begun = performance.now();
    for (const frames of frameCounts) {
      if ((performance.now() - begun) / 60_000 > Number(values.minutes) / 2) break;
      // What an earlier count of frames has read is kept: only the rest is read, and its time added.
      const { prefill: more, decode } = await answer(plain, [5, ...words(frames * n + textTokens - 1)], []);
      prefill += more;
      inserted.push({ frames, prefill, decode, cacheBytes: plain.info().cacheBytes, flop: insertionFlop(frames, n) });
    }
    plain.close();
    print(
      `\n${n} tokens a frame, ${textTokens} of text, ${threads} threads${values.cpu ? ' by processor time' : ''}; prefill with keys and values of the frames`,
    );
    print(
      '| frames | prefill, inserted | cross-attended | ratio | by the formulae | decode, inserted | cross-attended | KV, inserted | cross-attended | GFLOP/s |',
    );
    print('|---|---|---|---|---|---|---|---|---|---|');
    for (const [at, cross] of crossed.entries()) {
      const other = inserted[at];
      const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
      const ms = (seconds: number): string => `${(seconds * 1000).toFixed(0)} ms`;
      const cells = [
        String(cross.frames),
        other === undefined ? '–' : `${other.prefill.toFixed(2)} s`,
        `${cross.prefill.toFixed(2)} s`,
        other === undefined ? '–' : `${(other.prefill / cross.prefill).toFixed(1)}x`,
        `${(insertionFlop(cross.frames, n) / cross.flop).toFixed(1)}x`,
        other === undefined ? '–' : ms(other.decode),
        ms(cross.decode),
        other === undefined ? '–' : mebibytes(other.cacheBytes),
        mebibytes(cross.cacheBytes),
        `${other === undefined ? '–' : (other.flop / other.prefill / 1e9).toFixed(0)} / ${(cross.flop / cross.prefill / 1e9).toFixed(0)}`,
      ];
      print(`| ${cells.join(' | ')} |`);
    }
    const points = (rows: readonly Row[]): (readonly [number, number])[] =>
      rows.map((row) => [row.frames, row.prefill]);
    lines.push({ name: `inserted, ${n}`, points: points(inserted), isDashed: true });
    lines.push({ name: `cross-attended, ${n}`, points: points(crossed), isDashed: false });
  }
  if (values.plot === undefined) return;
  const axes = { title: 'Prefill of frames and a question, 1B text model', x: 'frames', y: 'seconds' };
  await writeFile(
    values.plot,
    plot(
      axes,
      lines.filter(({ points }) => points.length > 1),
    ),
  );
}

async function comparePeer(): Promise<void> {
  const python = process.env['LUTRA_PYTHON'];
  if (python === undefined) return;
  const shape: VisionShape = {
    layers: 3,
    crossLayers: [1],
    bits: 16,
    tower: { layers: 2, global: 1, taps: [0, 1] },
    imageSize: 560,
    tiles: 4,
  };
  const side = 2 * shape.imageSize;
  const question = [imageTokenId, ...words(textTokens - 1)];
  const ours: { tower: number; cross: number }[] = [];
  const theirs: { tower: number; crossLayers: number }[] = [];
  const model = await modelOf('peer', shape, 'exact');
  // Warm: the first run of a graph is slower, in memory that nothing has touched.
  await look(model, 'a', side);
  await answer(model, question, ['a']);
  await answer(model, words(textTokens), []);
  model.forget('a');
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const { tower, keys } = await look(model, 'a', side);
    const seen = await answer(model, question, ['a']);
    const blind = await answer(model, words(textTokens), []);
    model.forget('a');
    // Without a picture the same graph lacks just the cross-attention layers.
    ours.push({ tower, cross: keys + seen.prefill - blind.prefill });
    const { stdout, status, stderr } = spawnSync(
      python,
      [
        'bench/vision/reference.py',
        join(home, 'peer'),
        String(textTokens),
        String(threads),
        values.cpu ? 'cpu' : 'clock',
      ],
      { encoding: 'utf8', maxBuffer: 1e8 },
    );
    if (status !== 0) throw new Error(stderr.slice(-2000));
    theirs.push(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as (typeof theirs)[number]);
  }
  model.close();
  const quick = await modelOf('peer', shape, 'fast');
  const eightBits: number[] = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    eightBits.push((await look(quick, 'a', side)).tower);
    quick.forget('a');
  }
  quick.close();
  const tower = median(ours.map((times) => times.tower));
  const cross = median(ours.map((times) => times.cross));
  const otherTower = median(theirs.map((times) => times.tower));
  const otherCross = median(theirs.map(({ crossLayers }) => crossLayers));
  print(
    `\nf32, ${threads} threads${values.cpu ? ' by processor time' : ''}, four tiles of 560 pixels, ${shape.tower.layers} + ${shape.tower.global} blocks of the tower, one cross-attention layer`,
  );
  print('| | Lutra | transformers | ratio |');
  print('|---|---|---|---|');
  const gflops = (time: number): string => `${(towerFlop(shape) / time / 1e9).toFixed(0)} GFLOP/s`;
  print(
    `| tower | ${tower.toFixed(2)} s, ${gflops(tower)} | ${otherTower.toFixed(2)} s, ${gflops(otherTower)} | ${(otherTower / tower).toFixed(2)}x |`,
  );
  const quickTower = median(eightBits);
  print(
    `| tower in 8 bits, as the studio runs it | ${quickTower.toFixed(2)} s, ${gflops(quickTower)} | | ${(otherTower / quickTower).toFixed(2)}x |`,
  );
  print(
    `| projector, cross-attention layer of ${textTokens} tokens | ${cross.toFixed(2)} s | ${otherCross.toFixed(2)} s | ${(otherCross / cross).toFixed(2)}x |`,
  );
}

if (values.part !== 'insertion') await comparePeer();
if (values.part !== 'peer') await compareInsertion();
process.exit(0);
