/** Makes takes: fills in what a request leaves to the model, brings the sound to start from into shape, runs the engine. */
import { randomInt } from 'node:crypto';
import type { AudioModelInfo, AudioSettings } from '../../contract/audio.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { Engine, Priority } from '../engine/engine.ts';
import type { AudioEvent, AudioRequest, DescribedAudio } from '../engine/protocol.ts';
import { peakOf, resampled, withChannels } from '../media/pcm.ts';
import type { Pcm } from '../media/pcm.ts';

export interface AudioModelRef {
  readonly path: string;
  readonly name: string;
}

export interface Region {
  readonly start: number;
  readonly end: number;
}

/** A sound to start from; with a region only that part of it is made anew. */
export interface StartingSound {
  readonly pcm: Pcm;
  readonly region: Region | null;
}

/** Every choice filled in: enough to make the same take again. */
export type FilledSettings = AudioSettings & {
  readonly steps: number;
  readonly guidance: number;
  readonly sampler: string;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly seed: number;
  readonly weights: NonNullable<AudioSettings['weights']>;
};

export type MakeEvent =
  | Extract<AudioEvent, { type: 'stage' | 'cut' }>
  | { readonly type: 'made'; readonly pcm: Pcm; readonly settings: FilledSettings; readonly isFlat: boolean };

const seeds = 2 ** 32;
/** A sound whose peak stays below this is silence. */
const flatPeak = 1e-4;

export function infoOf(description: DescribedAudio): AudioModelInfo {
  const { mostFrames, hop, sampleRate, samplers, hasEncoder, textEncoder, tokenizer, objective, defaults } =
    description;
  const missing = textEncoder === '' ? 'T5 text encoder' : tokenizer === '' ? 'tokenizer' : null;
  return {
    longestSeconds: (mostFrames * hop) / sampleRate,
    sampleRate,
    samplers: samplers.toSorted((a, b) => Number(b === defaults.sampler) - Number(a === defaults.sampler)),
    defaults: {
      ...(objective === 'v'
        ? { steps: 100, guidance: 7, sigmaMin: 0.3, sigmaMax: 500 }
        : { steps: 8, guidance: 1, sigmaMin: 0.01, sigmaMax: 1 }),
      ...(defaults.steps !== undefined && { steps: defaults.steps }),
      ...(defaults.guidance !== undefined && { guidance: defaults.guidance }),
      weights: defaults.weights ?? 'q8',
    },
    canStartFromSound: hasEncoder,
    problem:
      missing === null
        ? null
        : {
            code: 'not-found',
            message: `There is no ${missing} beside this model.`,
            hint: 'Put the folder of t5-base, with its tokenizer.json, into the model’s folder, and look again.',
          },
  };
}

export function filled(settings: AudioSettings, { samplers, defaults }: AudioModelInfo): FilledSettings {
  return {
    ...settings,
    steps: settings.steps ?? defaults.steps,
    guidance: settings.guidance ?? defaults.guidance,
    sampler: settings.sampler ?? samplers[0] ?? '',
    sigmaMin: settings.sigmaMin ?? defaults.sigmaMin,
    sigmaMax: settings.sigmaMax ?? defaults.sigmaMax,
    seed: settings.seed ?? randomInt(seeds),
    weights: settings.weights ?? defaults.weights,
  };
}

export interface MakeOptions {
  readonly engine: Engine;
  readonly model: AudioModelRef;
  /** T5's folder; empty: what lies beside the model. */
  readonly textEncoder: string;
  readonly threads: number | null;
  readonly settings: AudioSettings;
  readonly sound: StartingSound | null;
  readonly signal: AbortSignal;
  readonly priority: Priority;
}

/** The takes of a request, one after the other; seeds count up. */
export async function* makeTakes(options: MakeOptions): AsyncGenerator<MakeEvent, void, undefined> {
  const { engine, model, textEncoder, threads, settings, sound, signal, priority } = options;
  const info = infoOf(await engine.describeAudio(model.path, textEncoder));
  if (info.problem !== null) throw new LutraError(info.problem);
  const choice = filled(settings, info);
  if (!info.samplers.includes(choice.sampler)) {
    throw new LutraError({
      code: 'bad-input',
      message: `The sampler "${choice.sampler}" does not go with ${model.name}.`,
      hint: `It has: ${info.samplers.join(', ')}.`,
      subject: 'sampler',
    });
  }
  const start = sound === null ? null : fitted(sound, info, settings.seconds);
  const samples = start?.length ?? Math.round(settings.seconds * info.sampleRate);
  if (samples > Math.round(info.longestSeconds * info.sampleRate)) {
    throw new LutraError({
      code: 'bad-input',
      message: `${model.name} makes at most ${info.longestSeconds.toPrecision(3)} seconds.`,
      hint: 'Choose a shorter length.',
      subject: 'seconds',
    });
  }
  for (let take = 0; take < settings.takes; take += 1) {
    const own = { ...choice, seed: (choice.seed + take) % seeds, takes: 1, seconds: samples / info.sampleRate };
    const request: AudioRequest = {
      model: { path: model.path, name: model.name, textEncoder, weights: own.weights, threads },
      prompt: own.prompt,
      negativePrompt: own.negativePrompt.trim() === '' ? null : own.negativePrompt,
      secondsStart: 0,
      secondsTotal: own.seconds,
      samples,
      sampler: own.sampler,
      steps: own.steps,
      sigmaMin: own.sigmaMin,
      sigmaMax: own.sigmaMax,
      rho: own.rho,
      guidance: own.guidance,
      guidanceRescale: own.guidanceRescale,
      seed: own.seed,
      init: start === null ? null : bytesOf(start.planar),
      strength: own.strength,
      region: start?.region ?? null,
    };
    let made: Pcm | null = null;
    for await (const event of engine.generateAudio(request, { signal, priority })) {
      if (event.type === 'done') made = pcmOf(event);
      else yield event;
    }
    if (made === null) {
      signal.throwIfAborted();
      throw new LutraError({ code: 'internal', message: 'The engine ended before the sound was whole.' });
    }
    const whole = start?.region == null ? made : keptOutside(made, start);
    yield { type: 'made', pcm: whole, settings: own, isFlat: peakOf(whole) < flatPeak };
  }
}

interface Fitted {
  /** At the model's rate, (channels, length) in one piece. */
  readonly planar: Float32Array;
  readonly length: number;
  readonly region: { readonly start: number; readonly end: number } | null;
}

/** The sound at the model's rate, as long as what is to be made. */
function fitted({ pcm, region }: StartingSound, info: AudioModelInfo, seconds: number): Fitted {
  if (!info.canStartFromSound) {
    throw new LutraError({
      code: 'not-supported',
      message: 'This model has no encoder: it cannot start from a sound.',
      hint: 'Choose the full checkpoint.',
    });
  }
  const stereo = 2;
  const source = withChannels(resampled(pcm, info.sampleRate), stereo);
  const had = source.channels[0]?.length ?? 0;
  const wanted = region === null ? seconds : Math.max(had / info.sampleRate, region.end);
  const length = Math.round(wanted * info.sampleRate);
  const planar = new Float32Array(length * stereo);
  source.channels.forEach((channel, at) => planar.set(channel.subarray(0, length), at * length));
  if (region === null) return { planar, length, region: null };
  const inSamples = (at: number): number => Math.min(length, Math.round(at * info.sampleRate));
  const cut = { start: inSamples(region.start), end: inSamples(region.end) };
  if (cut.end <= cut.start) {
    throw new LutraError({
      code: 'bad-input',
      message: 'The region is empty.',
      hint: 'Mark a part of the sound.',
      subject: 'region',
    });
  }
  return { planar, length, region: cut };
}

const fadeSamples = 1024;

/** Outside of the region the very samples that were there; short fades lead in and out. */
function keptOutside(made: Pcm, { planar, length, region }: Fitted): Pcm {
  if (region === null) return made;
  const channels = made.channels.map((channel, which) => {
    const old = planar.subarray(which * length, (which + 1) * length);
    return Float32Array.from(channel, (value, at) => {
      const outside = at < region.start ? region.start - at : at >= region.end ? at - region.end + 1 : 0;
      const share = Math.max(0, 1 - outside / fadeSamples);
      return share * value + (1 - share) * (old[at] ?? 0);
    });
  });
  return { ...made, channels };
}

const bytesOf = (values: Float32Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));

function pcmOf({ bytes, channels, sampleRate }: Extract<AudioEvent, { type: 'done' }>): Pcm {
  // A copy: a view needs its bytes aligned.
  const all = new Float32Array(Uint8Array.from(bytes).buffer);
  const length = all.length / channels;
  return {
    sampleRate,
    channels: Array.from({ length: channels }, (_, at) => all.slice(at * length, (at + 1) * length)),
  };
}

/** True for what a cancelled run throws. */
export const isCancellation = (thrown: unknown, signal: AbortSignal): boolean =>
  signal.aborted || toErrorData(thrown).code === 'cancelled';
