/** Makes sounds: one model loaded at a time, one take at a time. */
import { LutraError } from '../../../../contract/errors.ts';
import { audioEvents, audioEventUnit } from '../../addon.ts';
import type { Addon, AudioModel } from '../../addon.ts';
import type { AudioEvaluate, AudioEvent, AudioModelChoice, AudioRequest, DescribedAudio } from '../../protocol.ts';
import type { LoadedModel } from '../chat-backend.ts';
import { followed } from '../followed.ts';
import { defaultsOf } from './defaults.ts';
import { previewOf } from './preview.ts';
import { PromptEncoder } from './prompt.ts';

interface Loaded {
  readonly choice: AudioModelChoice;
  readonly model: AudioModel;
  readonly info: ReturnType<AudioModel['info']>;
}

export class AudioRuntime {
  readonly #addon: () => Promise<Addon>;
  #loaded: Loaded | null = null;

  constructor(addon: () => Promise<Addon>) {
    this.#addon = addon;
  }

  loadedModel(): LoadedModel | null {
    if (this.#loaded === null) return null;
    const { choice, info } = this.#loaded;
    return {
      path: choice.path,
      name: choice.name,
      device: info.device,
      kernel: choice.weights,
      memoryBytes: info.weightBytes,
      contextSize: info.promptTokens,
    };
  }

  async describe(path: string, textEncoder: string): Promise<DescribedAudio> {
    const description = (await this.#addon()).describeAudio({ path, textEncoder });
    return { ...description, defaults: await defaultsOf(path) };
  }

  async evaluate({ model, ...rest }: AudioEvaluate): Promise<string[]> {
    const addon = await this.#addon();
    return addon.evalAudio({ ...optionsOf(model), ...rest });
  }

  async *generate(request: AudioRequest, signal: AbortSignal): AsyncGenerator<AudioEvent, void, undefined> {
    const loaded = yield* this.#load(request.model, signal);
    const { model, info } = loaded;
    const encoder = await PromptEncoder.load(info.tokenizer, info.promptTokens);
    const prompt = encoder.encode(request.prompt);
    if (prompt.cut !== '') yield { type: 'cut', text: prompt.cut };
    const frames = Math.ceil(request.samples / info.hop);
    if (frames > info.mostFrames) {
      const seconds = ((info.mostFrames * info.hop) / info.sampleRate).toFixed(1);
      throw new LutraError({
        code: 'bad-input',
        message: `This model makes at most ${seconds} seconds.`,
        hint: 'Choose a shorter length.',
        subject: 'seconds',
      });
    }
    const work = followed<readonly [number, number], Float32Array>(
      (tell) =>
        model.generate(
          {
            ...request,
            prompt,
            negative: request.negativePrompt === null ? null : encoder.encode(request.negativePrompt),
            frames,
            init: request.init === null ? null : floatsOf(request.init),
            change: request.region === null ? null : changeOf(request.region, frames, info.hop),
          },
          (event, total) => tell([event, total]),
        ),
      () => model.stop(),
      signal,
    );
    for await (const { progress, result } of work) {
      if (progress !== null) {
        const [event, total] = progress;
        const isStep = Math.floor(event / audioEventUnit) === audioEvents.step;
        yield {
          type: 'stage',
          stage: isStep ? 'steps' : 'decoding',
          done: event % audioEventUnit,
          total,
          preview: isStep ? previewOf(model.preview(), frames) : null,
        };
        continue;
      }
      const made = trimmed(result, info.channels, frames * info.hop, request.samples);
      const bytes = Uint8Array.from(new Uint8Array(made.buffer, made.byteOffset, made.byteLength));
      yield { type: 'done', bytes, channels: info.channels, sampleRate: info.sampleRate };
    }
  }

  drop(): void {
    this.#loaded?.model.close();
    this.#loaded = null;
  }

  async *#load(choice: AudioModelChoice, signal: AbortSignal): AsyncGenerator<AudioEvent, Loaded, undefined> {
    if (this.#loaded !== null && JSON.stringify(this.#loaded.choice) === JSON.stringify(choice)) return this.#loaded;
    this.drop();
    const addon = await this.#addon();
    let loaded: Loaded | null = null;
    const work = followed<readonly [number, number], AudioModel>(
      (tell) => addon.loadAudioModel(optionsOf(choice), (done, total) => tell([done, total])),
      () => addon.stopLoadingAudio(),
      signal,
    );
    for await (const { progress, result } of work) {
      const [done, total] = progress ?? [1, 1];
      yield { type: 'stage', stage: 'loading', done, total, preview: null };
      if (result !== null) loaded = { choice, model: result, info: result.info() };
    }
    if (loaded === null) throw new LutraError({ code: 'cancelled', message: 'Cancelled.' });
    this.#loaded = loaded;
    return loaded;
  }
}

function optionsOf({
  path,
  textEncoder,
  weights,
  threads,
}: AudioModelChoice): Pick<AudioModelChoice, 'path' | 'textEncoder' | 'weights'> & { threads: number } {
  return { path, textEncoder, weights, threads: threads ?? 0 };
}

/** A copy: a view needs its bytes aligned. */
function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

/** For each latent frame, 1 where any of it lies in the region. */
function changeOf(region: { start: number; end: number }, frames: number, hop: number): Float32Array {
  return Float32Array.from({ length: frames }, (_, at) =>
    (at + 1) * hop > region.start && at * hop < region.end ? 1 : 0,
  );
}

/** The asked length, of each channel. */
function trimmed(samples: Float32Array, channels: number, had: number, wanted: number): Float32Array {
  if (had === wanted) return samples;
  const result = new Float32Array(channels * wanted);
  for (let channel = 0; channel < channels; channel += 1)
    result.set(samples.subarray(channel * had, channel * had + wanted), channel * wanted);
  return result;
}
