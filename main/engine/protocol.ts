/**
 * What main and the engine process say to each other, over the same call protocol as the page and main.
 * Every path here was granted or registered; the engine opens it for reading only.
 */
import { z } from 'zod';
import { audioWeightsSchema } from '../../contract/audio.ts';
import { clipFrameSchema } from '../../contract/caption.ts';
import { answerStageSchema, answerStatsSchema, samplerSchema } from '../../contract/chat.ts';
import { bytesSchema, nothingSchema } from '../../contract/common.ts';
import { cardLayersSchema, deviceMemorySchema, engineReportSchema } from '../../contract/engine.ts';
import { errorDataSchema } from '../../contract/errors.ts';
import { capabilitySchema, fitSchema, modelKindSchema } from '../../contract/models.ts';
import { call, stream } from '../../contract/rpc/define.ts';
import type { Client, Handlers } from '../../contract/rpc/define.ts';
import { settingsSchema } from '../../contract/settings.ts';
import {
  audioDescriptionSchema,
  evaluatedPerplexitySchema,
  quantizedReportSchema,
  quantizedSizeSchema,
  visionDescriptionSchema,
} from './addon.ts';

/** What a look into a model's files told. A broken model has a `problem` and whatever else could be read. */
export const inspectionSchema = z.object({
  name: z.string(),
  kind: modelKindSchema.nullable(),
  architecture: z.string().nullable(),
  parameterCount: z.number().nonnegative().nullable(),
  /** All files that belong to it. */
  sizeBytes: z.number().int().nonnegative(),
  quantization: z.string().nullable(),
  bitsPerWeight: z.number().positive().nullable(),
  license: z.string().nullable(),
  contextLength: z.number().int().positive().nullable(),
  capabilities: z.array(capabilitySchema),
  hasChatTemplate: z.boolean(),
  /** `ready`, `not-yet` (understood, not runnable by this version) or `broken`. */
  status: z.enum(['ready', 'not-yet', 'broken']),
  problem: errorDataSchema.nullable(),
});
export type Inspection = z.infer<typeof inspectionSchema>;

export const computeOptionsSchema = z.object({
  device: settingsSchema.shape.device,
  threads: settingsSchema.shape.threads,
  chatCache: settingsSchema.shape.chatCache.optional(),
});
export type ComputeOptions = z.infer<typeof computeOptionsSchema>;

export const answerRequestSchema = z.object({
  modelPath: z.string(),
  /** For messages to the user. */
  modelName: z.string(),
  compute: computeOptionsSchema,
  contextSize: z.number().int().positive().nullable(),
  systemPrompt: z.string(),
  /** Oldest first; the last one is the user's. */
  history: z.array(z.object({ role: z.enum(['user', 'assistant']), text: z.string() })).min(1),
  sampler: samplerSchema,
  /** The seed to use; main picks it where the sampler's is null. */
  seed: z.number().int().min(0).max(0xffff_ffff),
});
export type AnswerRequest = z.infer<typeof answerRequestSchema>;

export const answerEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('stage'), stage: answerStageSchema }),
  z.object({ type: z.literal('delta'), text: z.string(), tokensPerSecond: z.number().nonnegative() }),
  z.object({ type: z.literal('done'), stats: answerStatsSchema }),
]);
export type AnswerEvent = z.infer<typeof answerEventSchema>;

export const loadedModelSchema = z.object({
  path: z.string(),
  name: z.string(),
  device: z.string(),
  /** Which of our kernels it runs on, for people; null where another engine runs it. */
  kernel: z.string().nullable(),
  memoryBytes: z.number().nonnegative(),
  contextSize: z.number().int().positive(),
  cardLayers: cardLayersSchema.optional(),
  /** Why it runs there and not, or not all of it, on the graphics card, where that is so. */
  note: z.string().optional(),
});

export const quantizeRequestSchema = z.object({
  source: z.string(),
  bits: z.number().int().min(2).max(4),
  groupSize: z.number().int().min(32).max(256),
  table: z.enum(['nf', 'learned']),
  skip: z.array(z.string().max(1000)).max(1000),
  threads: computeOptionsSchema.shape.threads,
});
export type QuantizeRequest = z.infer<typeof quantizeRequestSchema>;

export const quantizeRunSchema = quantizeRequestSchema.extend({
  destination: z.string(),
  /** A text file that shows which inputs matter; null for none. */
  calibrationPath: z.string().nullable(),
});
export type QuantizeRun = z.infer<typeof quantizeRunSchema>;
export const quantizeEventSchema = z.object({
  fraction: z.number().min(0).max(1),
  report: quantizedReportSchema.nullable(),
});
export type QuantizeEvent = z.infer<typeof quantizeEventSchema>;

export const perplexityRequestSchema = z.object({
  path: z.string(),
  textPath: z.string(),
  windowTokens: z.number().int().min(2).max(1_000_000),
  precision: z.enum(['exact', 'fast']),
  threads: computeOptionsSchema.shape.threads,
});
export type PerplexityRequest = z.infer<typeof perplexityRequestSchema>;
export const perplexityEventSchema = z.object({
  done: z.number().nonnegative(),
  total: z.number().nonnegative(),
  result: evaluatedPerplexitySchema.nullable(),
});
export type PerplexityEvent = z.infer<typeof perplexityEventSchema>;

/** What a model's own configuration asks for where a request leaves the choice open. */
export const audioDefaultsSchema = z.object({
  sampler: z.string().max(40).optional(),
  steps: z.number().int().min(1).max(1000).optional(),
  guidance: z.number().min(0).max(100).optional(),
  weights: audioWeightsSchema.optional(),
});
export type AudioDefaults = z.infer<typeof audioDefaultsSchema>;

const describedAudioSchema = audioDescriptionSchema.extend({ defaults: audioDefaultsSchema });
export type DescribedAudio = z.infer<typeof describedAudioSchema>;

export const audioModelSchema = z.object({
  path: z.string(),
  /** For messages to the user. */
  name: z.string(),
  /** T5's folder; empty: what lies beside the model. */
  textEncoder: z.string(),
  weights: audioWeightsSchema,
  threads: computeOptionsSchema.shape.threads,
});
export type AudioModelChoice = z.infer<typeof audioModelSchema>;

/** One take. Sounds travel as bytes of f32, (channels, samples), at the model's rate. */
export const audioRequestSchema = z.object({
  model: audioModelSchema,
  prompt: z.string(),
  /** Null: guidance away from no prompt at all. */
  negativePrompt: z.string().nullable(),
  secondsStart: z.number(),
  secondsTotal: z.number(),
  /** Length of what is made. */
  samples: z.number().int().positive(),
  sampler: z.string(),
  steps: z.number().int(),
  sigmaMin: z.number(),
  sigmaMax: z.number(),
  rho: z.number(),
  guidance: z.number(),
  guidanceRescale: z.number(),
  seed: z.number().int().min(0).max(0xffff_ffff),
  init: bytesSchema.nullable(),
  strength: z.number(),
  /** With `init`: what is made anew, in samples; null: all. */
  region: z.object({ start: z.number().int().min(0), end: z.number().int().min(0) }).nullable(),
});
export type AudioRequest = z.infer<typeof audioRequestSchema>;

export const audioEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('stage'),
    stage: z.enum(['loading', 'steps', 'decoding']),
    done: z.number().nonnegative(),
    total: z.number().nonnegative(),
    /** After a step: the loudness of the latents' channels over time, 0 to 255, (rows, columns). */
    preview: z.object({ rows: z.number().int(), columns: z.number().int(), values: bytesSchema }).nullable(),
  }),
  /** What of the prompt the model does not hear. */
  z.object({ type: z.literal('cut'), text: z.string() }),
  z.object({
    type: z.literal('done'),
    /** f32, (channels, samples). */
    bytes: bytesSchema,
    channels: z.number().int().positive(),
    sampleRate: z.number().int().positive(),
  }),
]);
export type AudioEvent = z.infer<typeof audioEventSchema>;

export const audioEvaluateSchema = z.object({
  model: audioModelSchema,
  inputs: z.string(),
  output: z.string(),
  sampler: z.string(),
  guidance: z.number(),
});
export type AudioEvaluate = z.infer<typeof audioEvaluateSchema>;

export const visionModelSchema = z.object({
  path: z.string(),
  /** For messages to the user. */
  name: z.string(),
  precision: z.enum(['exact', 'fast']),
  threads: computeOptionsSchema.shape.threads,
});
export type VisionModelChoice = z.infer<typeof visionModelSchema>;

export const pictureSourceSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('file'), path: z.string() }),
  /** `width` and `height` count for rows of values only; a file in memory knows its own. */
  clipFrameSchema.pick({ width: true, height: true, encoding: true, bytes: true }).extend({ type: z.literal('bytes') }),
]);
export type PictureSource = z.infer<typeof pictureSourceSchema>;

export const visionPictureSchema = z.object({
  /** What is known of a picture is kept under it: the same one must have the same key, another one another. */
  key: z.string(),
  /** For messages to the user. */
  name: z.string(),
  source: pictureSourceSchema,
  /** One of a clip's: looked at as a whole, where a picture may be looked at in pieces, too. */
  isFrame: z.boolean(),
});
export type VisionPicture = z.infer<typeof visionPictureSchema>;

/** A text about pictures, or about nothing but the messages. The pictures come before the first of them. */
export const visionRequestSchema = z.object({
  model: visionModelSchema,
  pictures: z.array(visionPictureSchema).max(256),
  /** Oldest first; the last one is the user's. */
  messages: z.array(z.object({ role: z.enum(['user', 'assistant']), text: z.string() })).min(1),
  maxTokens: z.number().int().positive(),
  temperature: z.number().min(0),
  repeatPenalty: z.number().positive(),
  seed: z.number().int().min(0).max(0xffff_ffff),
});
export type VisionRequest = z.infer<typeof visionRequestSchema>;

const fractionSchema = z.number().min(0).max(1);
export const visionEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('loading'), fraction: fractionSchema }),
  /** At which picture, and how large it is, upright. */
  z.object({
    type: z.literal('looking'),
    picture: z.number().int(),
    fraction: fractionSchema,
    width: z.number().int(),
    height: z.number().int(),
  }),
  /** All of the text so far; it begins anew where the first went in circles. */
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('done'),
    text: z.string(),
    /** It went in circles twice, and was cut there. */
    isLoop: z.boolean(),
    tokens: z.number().int().nonnegative(),
    reason: z.enum(['end', 'length', 'context-full', 'stopped']),
  }),
]);
export type VisionEvent = z.infer<typeof visionEventSchema>;

export const visionEvaluateSchema = z.object({
  path: z.string(),
  /** An `.npz`; null where only a picture's own arrays are wanted. */
  inputs: z.string().nullable(),
  /** A picture file. */
  picture: z.string().nullable(),
  output: z.string(),
  threads: computeOptionsSchema.shape.threads,
});
export type VisionEvaluate = z.infer<typeof visionEvaluateSchema>;

export const engineProtocol = {
  engine: {
    /** Devices, versions and the self-test. The first call may take a second. */
    report: call(nothingSchema, engineReportSchema),
    memory: call(
      nothingSchema,
      z.object({
        engineBytes: z.number().nonnegative(),
        loadedModel: loadedModelSchema.nullable(),
        /** Of the graphics card that our engine would use; null before it was looked for, and where there is none. */
        card: deviceMemorySchema.nullable(),
      }),
    ),
    unload: call(nothingSchema, nothingSchema),
  },
  models: {
    inspect: call(z.object({ path: z.string() }), inspectionSchema),
    /** Every file or folder under `path` that looks like a model, `path` itself included. */
    discover: stream(z.object({ path: z.string() }), z.object({ path: z.string() })),
    fit: call(
      z.object({
        path: z.string(),
        contextLength: z.number().int().positive().nullable(),
        compute: computeOptionsSchema,
      }),
      fitSchema,
    ),
    /** Reads a file to its end. The SHA-256 in hex comes with the last event; null before. */
    hash: stream(
      z.object({ path: z.string() }),
      z.object({ bytesRead: z.number().nonnegative(), sha256: z.string().nullable() }),
    ),
  },
  quantize: {
    /** What would be written; reads headers only. */
    predict: call(quantizeRequestSchema, quantizedSizeSchema),
    /** Makes a LUT folder; the report comes with the last event. What was stopped goes on when it is asked for again. */
    run: stream(quantizeRunSchema, quantizeEventSchema),
  },
  evaluate: {
    /** How surprised a model is by a text file, window by window. The result comes with the last event. */
    perplexity: stream(perplexityRequestSchema, perplexityEventSchema),
    /** The logits of every position, in full precision: f32, row-major, (tokens, vocabSize), as bytes. */
    logits: call(
      z.object({
        path: z.string(),
        tokens: z.array(z.number().int().min(0).max(0x7fff_ffff)).min(1).max(1_000_000),
        threads: computeOptionsSchema.shape.threads,
      }),
      z.object({ bytes: bytesSchema, vocabSize: z.number().int().positive() }),
    ),
    /** Writes every stage of a model that looks, by an `.npz` and a picture, to another; returns their names. */
    vision: call(visionEvaluateSchema, z.object({ stages: z.array(z.string()) })),
  },
  audio: {
    /** Reads headers only. */
    describe: call(z.object({ path: z.string(), textEncoder: z.string() }), describedAudioSchema),
    generate: stream(audioRequestSchema, audioEventSchema),
    /** Writes every stage that an `.npz` of inputs determines to another; returns their names. */
    evaluate: call(audioEvaluateSchema, z.object({ stages: z.array(z.string()) })),
  },
  vision: {
    /** Reads headers only. */
    describe: call(z.object({ path: z.string() }), visionDescriptionSchema),
    write: stream(visionRequestSchema, visionEventSchema),
    /** A WebP no side of which is longer than `side`, and how large the whole is, upright. */
    picture: call(
      z.object({ name: z.string(), source: pictureSourceSchema, side: z.number().int().positive() }),
      z.object({ bytes: bytesSchema, width: z.number().int().positive(), height: z.number().int().positive() }),
    ),
  },
  chat: {
    answer: stream(answerRequestSchema, answerEventSchema),
    /** Ends the answer in the making as if the model had stopped: its `done` follows. While it loads: cancels. */
    stop: call(nothingSchema, nothingSchema),
    /** Resolves when no answer is in the making: what was cancelled has really stopped. */
    idle: call(nothingSchema, nothingSchema),
    /** Exact token count of a prompt when that model is loaded, else null. */
    measure: call(
      answerRequestSchema.pick({ modelPath: true, systemPrompt: true, history: true }),
      z.object({ tokens: z.number().int().nonnegative(), contextSize: z.number().int().positive() }).nullable(),
    ),
  },
} as const;

export type EngineProtocol = typeof engineProtocol;
export type EngineHandlers = Handlers<EngineProtocol>;
export type EngineClient = Client<EngineProtocol>;
