/** Looks at pictures and writes about them: one model loaded at a time, one text at a time. */
import { freemem } from 'node:os';
import { LutraError } from '../../../../contract/errors.ts';
import { encodedPixels, readPicture, shrunkPicture } from '../../../media/picture.ts';
import type { Pixels } from '../../../media/picture.ts';
import { generateEvents } from '../../addon.ts';
import type { Addon, Generated, Looked, VisionDescription, VisionInfo, VisionModel } from '../../addon.ts';
import type { PictureSource, VisionEvent, VisionModelChoice, VisionPicture, VisionRequest } from '../../protocol.ts';
import { Turns } from '../../turns.ts';
import type { LoadedModel } from '../chat-backend.ts';
import { followed } from '../followed.ts';
import type { ChatTemplate } from '../text/template.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import type { TextTokenizer } from '../text/tokenizer.ts';
import { threadsFor } from '../threads.ts';
import { LoopDetector } from './loops.ts';
import { loadVisionTemplate, visionPrompt } from './prompt.ts';
import type { SeenPicture } from './prompt.ts';

type CutPicture = VisionPicture & { readonly cut: boolean };

interface Loaded {
  readonly choice: VisionModelChoice;
  readonly model: VisionModel;
  readonly info: VisionInfo;
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
}

/** Tokens of context where the model has more. */
const contextLimit = 8192;
const smallestAnswerTokens = 8;
/** mllama's tables have this many more rows than its head: the picture's own token is one of them. */
const extraRows = 8;
/** After a loop, or nothing at all: less likely words, none again so soon, another seed. */
const secondTry = { temperature: 0.7, repeatPenalty: 1.3, seedStep: 1 } as const;

export class VisionRuntime {
  readonly #addon: () => Promise<Addon>;
  readonly #turns = new Turns();
  #loaded: Loaded | null = null;

  constructor(addon: () => Promise<Addon>) {
    this.#addon = addon;
  }

  loadedModel(): LoadedModel | null {
    if (this.#loaded === null) return null;
    const { choice, model } = this.#loaded;
    const { kernel, weightBytes, cacheBytes, pictureBytes, contextSize } = model.info();
    const memoryBytes = weightBytes + cacheBytes + pictureBytes;
    return { path: choice.path, name: choice.name, device: 'CPU', kernel, memoryBytes, contextSize };
  }

  async describe(path: string): Promise<VisionDescription> {
    return (await this.#addon()).describeVision({ folder: path });
  }

  /** One at a time: what was cancelled has really stopped before the next begins. */
  async *write(request: VisionRequest, signal: AbortSignal): AsyncGenerator<VisionEvent, void, undefined> {
    const giveBack = await this.#turns.take(0, signal);
    try {
      yield* this.#write(request, signal);
    } finally {
      giveBack();
    }
  }

  /** Waits for what is being written. */
  async unload(): Promise<void> {
    const giveBack = await this.#turns.take(0);
    this.#drop();
    giveBack();
  }

  async *#write(request: VisionRequest, signal: AbortSignal): AsyncGenerator<VisionEvent, void, undefined> {
    const loaded = yield* this.#load(request.model, signal);
    const { info, template, tokenizer } = loaded;
    // The first mPLUG-Owl3, which names pieces, was trained on those of a single picture.
    const canCut = info.pieces === 'marked' || (info.pieces === 'named' && request.pictures.length === 1);
    const pictures = request.pictures.map((picture) => ({ ...picture, cut: canCut && !picture.isFrame }));
    const seen = yield* this.#look(loaded, pictures, signal);
    const { family, imageTokenId, imageTokens, pieces, contextSize } = info;
    const prompt = await visionPrompt(
      request.messages.map(({ role, text }) => ({ role, content: text })),
      { family, imageTokenId, imageTokens, pieces, seen },
      template,
      tokenizer,
    );
    if (prompt.length + smallestAnswerTokens > contextSize) {
      throw new LutraError({
        code: 'bad-input',
        message: `The question takes ${prompt.length} tokens, but the model reads ${contextSize}.`,
        hint: 'Shorten the prompt, or choose fewer frames.',
        subject: 'prompt',
      });
    }
    const first = yield* this.#generate(loaded, { ...request, pictures }, prompt, signal);
    if (!first.isLoop && first.text !== '') {
      yield { type: 'done', text: first.text, isLoop: false, tokens: first.tokens, reason: first.reason };
      return;
    }
    const again = {
      ...request,
      pictures,
      temperature: Math.max(request.temperature, secondTry.temperature),
      repeatPenalty: Math.max(request.repeatPenalty, secondTry.repeatPenalty),
      seed: (request.seed + secondTry.seedStep) % 2 ** 32,
    };
    const second = yield* this.#generate(loaded, again, prompt, signal);
    yield { type: 'done', text: second.text, isLoop: second.isLoop, tokens: second.tokens, reason: second.reason };
  }

  #drop(): void {
    this.#loaded?.template.dispose();
    this.#loaded?.model.close();
    this.#loaded = null;
  }

  async *#look(
    { model }: Loaded,
    pictures: readonly CutPicture[],
    signal: AbortSignal,
  ): AsyncGenerator<VisionEvent, SeenPicture[], undefined> {
    const seen: SeenPicture[] = [];
    for (const [at, picture] of pictures.entries()) {
      const pixels = await pixelsOf(picture);
      signal.throwIfAborted();
      const { originalWidth: width, originalHeight: height } = pixels;
      const work = followed<readonly [number, number], Looked>(
        (tell) => model.see(keyOf(picture), { ...pixels, cut: picture.cut }, (done, total) => tell([done, total])),
        () => model.stop(),
        signal,
      );
      yield { type: 'looking', picture: at, fraction: 0, width, height };
      for await (const { progress, result } of work) {
        const [done, total] = progress ?? [1, 1];
        yield { type: 'looking', picture: at, fraction: total === 0 ? 1 : Math.min(1, done / total), width, height };
        if (result !== null) seen.push({ rows: result.rows, columns: result.columns, isFrame: picture.isFrame });
      }
      signal.throwIfAborted();
    }
    return seen;
  }

  async *#generate(
    { model, info, tokenizer }: Loaded,
    request: VisionRequest & { readonly pictures: readonly CutPicture[] },
    prompt: readonly number[],
    signal: AbortSignal,
  ): AsyncGenerator<
    VisionEvent,
    { text: string; isLoop: boolean; tokens: number; reason: Generated['reason'] },
    undefined
  > {
    const loops = new LoopDetector();
    const ids: number[] = [];
    const stream = tokenizer.stream();
    let text = '';
    let isLoop = false;
    const work = followed<string, Generated>(
      (tell) =>
        model.generate(
          {
            prompt: Int32Array.from(prompt),
            endIds: Int32Array.from(tokenizer.endIds),
            pictures: request.pictures.map(keyOf),
            maxTokens: Math.min(request.maxTokens, info.contextSize - prompt.length),
            temperature: request.temperature,
            topK: 0,
            topP: 1,
            minP: 0.05,
            repeatPenalty: request.repeatPenalty,
            seed: request.seed,
          },
          (kind, value) => {
            if (kind !== generateEvents.token || isLoop) return;
            ids.push(value);
            text += stream.add(value);
            if (loops.add(value)) {
              isLoop = true;
              model.stop();
            }
            tell(text);
          },
        ),
      () => model.stop(),
      signal,
    );
    let generated: Generated | null = null;
    for await (const { progress, result } of work) {
      if (progress !== null) yield { type: 'text', text: progress };
      if (result !== null) generated = result;
    }
    signal.throwIfAborted();
    if (generated === null) throw new LutraError({ code: 'cancelled', message: 'Cancelled.' });
    const whole = isLoop ? tokenizer.decode(ids.slice(0, loops.sensible())) : text + stream.end();
    return { text: whole.trim(), isLoop, tokens: ids.length, reason: generated.reason };
  }

  async *#load(choice: VisionModelChoice, signal: AbortSignal): AsyncGenerator<VisionEvent, Loaded, undefined> {
    if (this.#loaded !== null && JSON.stringify(this.#loaded.choice) === JSON.stringify(choice)) return this.#loaded;
    this.#drop();
    yield { type: 'loading', fraction: 0 };
    const addon = await this.#addon();
    const { family, vocabSize, contextSize, weightBytes } = addon.describeVision({ folder: choice.path });
    if (weightBytes > freemem()) {
      throw new LutraError({
        code: 'out-of-memory',
        message: `There is not enough free memory for "${choice.name}".`,
        hint: 'Close other programs, or choose a smaller model or one that is quantized.',
        subject: choice.name,
      });
    }
    const tokenizer = await loadTokenizer(choice.path, vocabSize + (family === 'mllama' ? extraRows : 0));
    const template = await loadVisionTemplate(choice.path, family, tokenizer);
    let model: VisionModel | null = null;
    try {
      const work = followed<readonly [number, number], VisionModel>(
        (tell) =>
          addon.loadVisionModel(
            {
              folder: choice.path,
              device: 'cpu',
              threads: threadsFor(choice.threads, weightBytes),
              precision: choice.precision,
              cacheType: 'f16',
              contextSize: Math.min(contextSize, contextLimit),
            },
            (done, total) => tell([done, total]),
          ),
        () => addon.stopLoadingVision(),
        signal,
      );
      for await (const { progress, result } of work) {
        const [done, total] = progress ?? [1, 1];
        yield { type: 'loading', fraction: total === 0 ? 1 : Math.min(1, done / total) };
        if (result !== null) model = result;
      }
      signal.throwIfAborted();
      if (model === null) throw new LutraError({ code: 'cancelled', message: 'Cancelled.' });
    } catch (thrown) {
      template.dispose();
      throw thrown;
    }
    this.#loaded = { choice, model, info: model.info(), tokenizer, template };
    return this.#loaded;
  }
}

/** What is known of its pieces and of it alone are two things. */
const keyOf = ({ key, cut }: CutPicture): string => (cut ? `${key} in pieces` : key);

type Seen = Pixels & { readonly originalWidth: number; readonly originalHeight: number };

/** Rows of bytes as they are, files through a decoder. */
export async function pixelsOf({ name, source }: Pick<VisionPicture, 'name' | 'source'>): Promise<Seen> {
  if (source.type === 'file') return readPicture(source.path);
  const { encoding, width, height, bytes } = source;
  if (encoding !== 'rgb' && encoding !== 'rgba') return readPicture({ name, bytes });
  const channels = encoding === 'rgb' ? 3 : 4;
  if (bytes.length !== width * height * channels) {
    throw new LutraError({
      code: 'bad-input',
      message: `A frame of "${name}" has ${bytes.length} bytes, not the ${width * height * channels} of its size.`,
      subject: name,
    });
  }
  const rgb = new Uint8Array(width * height * 3);
  if (channels === 3) rgb.set(bytes);
  else {
    for (let pixel = 0; pixel < width * height; pixel += 1)
      rgb.set(bytes.subarray(pixel * 4, pixel * 4 + 3), pixel * 3);
  }
  return { width, height, rgb, originalWidth: width, originalHeight: height };
}

/** See the protocol's `picture`. */
export async function shrunk(
  name: string,
  source: PictureSource,
  side: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; width: number; height: number }> {
  if (source.type === 'file') return shrunkPicture(source.path, side);
  if (source.encoding !== 'rgb' && source.encoding !== 'rgba')
    return shrunkPicture({ name, bytes: source.bytes }, side);
  const { width, height, rgb } = await pixelsOf({ name, source });
  return { bytes: await encodedPixels(rgb, { width, height, channels: 3 }, side), width, height };
}
