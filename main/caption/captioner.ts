/** One picture or clip becomes a caption. */
import { createHash, randomInt } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { CaptionModelInfo, CaptionNote, CaptionSegment, ClipFrame } from '../../contract/caption.ts';
import type { CaptionSettings } from '../../contract/caption-settings.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import { SceneDetector, planWindows, sceneTimes } from '../../contract/sampling.ts';
import type { ClipWindow } from '../../contract/sampling.ts';
import type { VisionDescription } from '../engine/addon.ts';
import type { Engine, Priority } from '../engine/engine.ts';
import type { PictureSource, VisionEvent, VisionPicture } from '../engine/protocol.ts';
import type { ClipFile, ClipReader } from './clips.ts';
import { dressed, mergePrompt, promptFor } from './prompts.ts';
import type { Asked } from './prompts.ts';
import type { MediaFacts, Written } from './rows.ts';

export interface CaptionModelRef {
  readonly path: string;
  readonly name: string;
}

export interface CaptionTools {
  readonly engine: Engine;
  readonly model: CaptionModelRef;
  readonly info: CaptionModelInfo;
  readonly threads: number | null;
  readonly priority: Priority;
  readonly openClip: (file: ClipFile, signal: AbortSignal) => Promise<ClipReader>;
  /** Small copies of frames that were looked at, for the page's timeline. */
  readonly keepFrame?: (file: ClipFile, frame: ClipFrame) => void;
}

export interface CaptionTask extends Asked {
  readonly itemId: string | null;
  readonly kind: 'picture' | 'clip';
}

export type CaptionProgress =
  | { readonly type: 'loading'; readonly fraction: number }
  | { readonly type: 'facts'; readonly facts: MediaFacts }
  | { readonly type: 'writing'; readonly segment: number | null; readonly text: string }
  | { readonly type: 'done'; readonly written: Written };

/** No model looks closer at a frame. */
const frameSide = 1120;
/** More pictures than this in one go tell a model no more. */
const mostPictures = 64;
/** Tokens of context that are kept for words. */
const wordTokens = 1024;
const smallSeed = 2 ** 32;

export function infoOf({ family, contextSize, imageTokens }: VisionDescription): CaptionModelInfo {
  // Llama 3.2 Vision was trained to look at one picture.
  const room = Math.floor((contextSize - Math.min(wordTokens, contextSize / 2)) / imageTokens);
  const several = Math.max(1, Math.min(mostPictures, room));
  return { family, mostPictures: family === 'mllama' ? 1 : several, contextLength: contextSize };
}

export async function* captionOf(
  task: CaptionTask,
  settings: CaptionSettings,
  tools: CaptionTools,
  signal: AbortSignal,
): AsyncGenerator<CaptionProgress, void, undefined> {
  const prompt = promptFor(settings, task);
  const seed = settings.seed ?? randomInt(smallSeed);
  const writer = new Writer(settings, seed, tools, signal);
  if (task.kind === 'picture') {
    const picture = {
      key: await keyOf(task.path),
      name: task.name,
      source: { type: 'file', path: task.path } as const,
      isFrame: false,
    };
    const answer = yield* writer.write([picture], prompt, null, true);
    if (answer === '') throw nothingWritten(task);
    const { text, hasAvoided } = dressed(answer, settings);
    yield { type: 'done', written: writtenOf(text, [], writer, hasAvoided, tools, prompt) };
    return;
  }
  const file: ClipFile = task;
  const key = await keyOf(task.path);
  const clip = await tools.openClip(file, signal);
  yield { type: 'facts', facts: clip.facts };
  const windows = await windowsOf(clip, settings, signal);
  if (windows.length === 0) throw emptyClip(task);
  const segments: CaptionSegment[] = [];
  const told: Told[] = [];
  for (const [at, window] of windows.entries()) {
    signal.throwIfAborted();
    const times = thinned(window.times, tools.info.mostPictures === 1 ? mostPictures : tools.info.mostPictures);
    const frames = await clip.frames(times, frameSide);
    for (const frame of frames) tools.keepFrame?.(file, frame);
    const pictures = frames.map((frame) => pictureOf(frame, key, task.name));
    const answer =
      tools.info.mostPictures > 1 || pictures.length === 1
        ? yield* writer.write(pictures, prompt, at, false)
        : yield* frameByFrame(writer, pictures, times, prompt, at);
    told.push({ start: window.start, text: answer });
    segments.push({ start: window.start, end: window.end, text: dressed(answer, settings).text, frames: [...times] });
  }
  const whole = told.length === 1 ? (told[0]?.text ?? '') : yield* summary(writer, told, prompt);
  if (whole === '') throw nothingWritten(task);
  const { text, hasAvoided } = dressed(whole, settings);
  yield { type: 'done', written: writtenOf(text, segments, writer, hasAvoided, tools, prompt) };
}

/** An empty caption would be taken for one. */
function nothingWritten({ name }: CaptionTask): LutraError {
  return new LutraError({
    code: 'not-supported',
    message: `The model wrote nothing about "${name}".`,
    hint: 'Try again with another prompt, a higher temperature, or another model.',
    subject: name,
  });
}

interface Told {
  readonly start: number;
  readonly text: string;
}

/** A model that looks at one picture at a time tells of each, then of them all. */
async function* frameByFrame(
  writer: Writer,
  pictures: readonly VisionPicture[],
  times: readonly number[],
  prompt: string,
  segment: number,
): AsyncGenerator<CaptionProgress, string, undefined> {
  const parts: Told[] = [];
  for (const [at, picture] of pictures.entries())
    parts.push({ start: times[at] ?? 0, text: yield* writer.write([picture], prompt, segment, false) });
  return yield* writer.write([], mergePrompt('frames', prompt, parts), segment, false);
}

/** Where the model has nothing to say about words alone, the stretches' own stand for the whole. */
async function* summary(
  writer: Writer,
  stretches: readonly Told[],
  prompt: string,
): AsyncGenerator<CaptionProgress, string, undefined> {
  const told = stretches.filter(({ text }) => text !== '');
  const text = yield* writer.write([], mergePrompt('stretches', prompt, told), null, false);
  return text === '' || writer.wasLoop ? told.map((stretch) => stretch.text).join(' ') : text;
}

/** Asks the engine, and remembers what was odd about its answers. */
class Writer {
  readonly #settings: CaptionSettings;
  readonly #seed: number;
  readonly #tools: CaptionTools;
  readonly #signal: AbortSignal;
  note: CaptionNote = '';
  wasLoop = false;

  constructor(settings: CaptionSettings, seed: number, tools: CaptionTools, signal: AbortSignal) {
    this.#settings = settings;
    this.#seed = seed;
    this.#tools = tools;
    this.#signal = signal;
  }

  async *write(
    pictures: readonly VisionPicture[],
    text: string,
    segment: number | null,
    tellsSize: boolean,
  ): AsyncGenerator<CaptionProgress, string, undefined> {
    const { engine, model, threads, priority } = this.#tools;
    const { maxTokens, temperature } = this.#settings;
    const events = engine.write(
      {
        model: { ...model, threads, precision: 'fast' },
        pictures: [...pictures],
        messages: [{ role: 'user', text }],
        maxTokens,
        temperature,
        repeatPenalty: 1,
        seed: this.#seed,
      },
      { signal: this.#signal, priority },
    );
    let size: MediaFacts | null = null;
    let done: Extract<VisionEvent, { type: 'done' }> | null = null;
    for await (const event of events) {
      if (event.type === 'loading') yield event;
      else if (event.type === 'text') yield { type: 'writing', segment, text: event.text };
      else if (event.type === 'done') done = event;
      else if (tellsSize && size === null) {
        size = { width: event.width, height: event.height, seconds: null };
        yield { type: 'facts', facts: size };
      }
    }
    this.#signal.throwIfAborted();
    if (done === null)
      throw new LutraError({ code: 'internal', message: 'The engine ended before the caption was whole.' });
    this.wasLoop = done.isLoop;
    if (done.isLoop) this.note = 'loop';
    else if (this.note === '' && done.reason === 'length') this.note = 'cut';
    return done.text;
  }
}

function writtenOf(
  text: string,
  segments: CaptionSegment[],
  writer: Writer,
  hasAvoided: boolean,
  { model }: CaptionTools,
  prompt: string,
): Written {
  const note = writer.note === '' && hasAvoided ? 'avoided' : writer.note;
  return { text, segments, note, modelName: model.name, prompt };
}

async function windowsOf(clip: ClipReader, { sampling }: CaptionSettings, signal: AbortSignal): Promise<ClipWindow[]> {
  const { seconds } = clip.facts;
  if (sampling.kind !== 'scenes') return planWindows(sampling, seconds);
  const detector = new SceneDetector();
  for await (const frame of clip.small(sceneTimes(seconds))) {
    signal.throwIfAborted();
    detector.push(frame.seconds, frame.bytes);
  }
  return planWindows(sampling, seconds, detector.cuts);
}

/** At most so many, spread evenly. */
export function thinned(times: readonly number[], most: number): number[] {
  if (times.length <= most) return [...times];
  return Array.from({ length: most }, (_, at) => times[Math.floor(((at + 0.5) * times.length) / most)] ?? 0);
}

export function pictureOf(frame: ClipFrame, clipKey: string, name: string): VisionPicture {
  const { seconds, ...rest } = frame;
  const source: PictureSource = { type: 'bytes', ...rest };
  return { key: `${clipKey}@${seconds.toFixed(3)}`, name, source, isFrame: true };
}

/** The same as long as the file is. Fails with `file-access`. */
export async function keyOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size } = await stat(path);
    return createHash('sha256').update(`${path}\0${mtimeMs}\0${size}`).digest('hex').slice(0, 32);
  } catch (thrown) {
    const { code, hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    const name = path.split(/[/\\]/).at(-1) ?? path;
    throw new LutraError(
      { code: code === 'internal' ? 'file-access' : code, message: `"${name}" cannot be read.`, hint, subject: path },
      { cause: thrown },
    );
  }
}

const emptyClip = ({ name, path }: CaptionTask): LutraError =>
  new LutraError({
    code: 'bad-file',
    message: `"${name}" has no length: there is nothing in it to look at.`,
    hint: 'Get the clip again, or remove it.',
    subject: path,
  });
