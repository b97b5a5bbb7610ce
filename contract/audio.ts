/** Sounds from text: what can be asked for, what is being made, and the takes that were. */
import { z } from 'zod';
import { bytesSchema, idSchema, nameSchema, nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call, stream } from './rpc/define.ts';

const seedSchema = z.number().int().min(0).max(0xffff_ffff);

/** How matrices are held. */
export const audioWeightsSchema = z.enum(['f32', 'bf16', 'q8', 'lut4']);

/** How a sound is made. The one place for limits; null leaves the choice to the model. */
export const audioSettingsSchema = z.object({
  prompt: z.string().trim().min(1).max(20_000),
  negativePrompt: z.string().max(20_000).default(''),
  seconds: z.number().min(0.01).max(600),
  steps: z.number().int().min(1).max(1000).nullable().default(null),
  guidance: z.number().min(0).max(100).nullable().default(null),
  guidanceRescale: z.number().min(0).max(1).default(0),
  sampler: z.string().max(40).nullable().default(null),
  sigmaMin: z.number().positive().max(1000).nullable().default(null),
  sigmaMax: z.number().positive().max(10_000).nullable().default(null),
  rho: z.number().positive().max(20).default(1),
  /** Null: another one each time. Takes of one request count up from it. */
  seed: seedSchema.nullable().default(null),
  takes: z.number().int().min(1).max(16).default(1),
  /** With a sound to start from: how much is made anew. */
  strength: z.number().min(0).max(1).default(0.6),
  weights: audioWeightsSchema.nullable().default(null),
});
export type AudioSettings = z.infer<typeof audioSettingsSchema>;

/** Where a take begins: another take; with a region only that part is made anew. */
export const audioSourceSchema = z.object({
  takeId: idSchema,
  /** In seconds; may end behind the sound: then it is extended. Null: all of it. */
  region: z.object({ start: z.number().min(0), end: z.number().min(0) }).nullable(),
});
export type AudioSource = z.infer<typeof audioSourceSchema>;

export const audioTakeSchema = z.object({
  id: idSchema,
  parentId: idSchema.nullable(),
  name: z.string(),
  /** Empty for a sound that was brought along. */
  modelName: z.string(),
  prompt: z.string(),
  seed: seedSchema,
  /** All that is needed to make it again, every choice filled in. */
  settings: audioSettingsSchema,
  seconds: z.number(),
  sampleRate: z.number(),
  channels: z.number(),
  isStarred: z.boolean(),
  createdAt: timestampSchema,
});
export type AudioTake = z.infer<typeof audioTakeSchema>;

/** What a model can do, for the panel's controls. */
export const audioModelInfoSchema = z.object({
  longestSeconds: z.number(),
  sampleRate: z.number(),
  /** Its default first. */
  samplers: z.array(z.string()),
  defaults: z.object({
    steps: z.number(),
    guidance: z.number(),
    sigmaMin: z.number(),
    sigmaMax: z.number(),
    weights: audioWeightsSchema,
  }),
  /** Whether it can start from a sound. */
  canStartFromSound: z.boolean(),
  /** Why it cannot make anything yet, such as a missing text encoder. */
  problem: errorDataSchema.nullable(),
});
export type AudioModelInfo = z.infer<typeof audioModelInfoSchema>;

/** What is being made; null when nothing is. */
export const audioRunSchema = z.object({
  id: idSchema,
  modelName: z.string(),
  prompt: z.string(),
  stage: z.enum(['waiting', 'loading', 'steps', 'decoding']),
  done: z.number().nonnegative(),
  total: z.number().nonnegative(),
  take: z.number().int().positive(),
  takes: z.number().int().positive(),
  etaSeconds: z.number().nonnegative().nullable(),
  /** What of the prompt the model does not hear. */
  cutPrompt: z.string(),
  preview: z.object({ rows: z.number().int(), columns: z.number().int(), values: bytesSchema }).nullable(),
});
export type AudioRun = z.infer<typeof audioRunSchema>;

/** Marks our JSON among other people's comments in a sound file. */
export const settingsMark = 'lutra:';

export const audioFormatSchema = z.object({
  format: z.enum(['wav', 'flac', 'mp3', 'm4a', 'ogg']),
  /** Of WAV; FLAC has 24. */
  bitDepth: z.union([z.literal(16), z.literal(24), z.literal(32)]).default(24),
  /** `peak`: as loud as it can be; `safe`: quieter only where it would clip. */
  normalize: z.enum(['off', 'peak', 'safe']).default('safe'),
});
export type AudioFormat = z.infer<typeof audioFormatSchema>;

/** What a file's name may be put together from, in braces. */
export const audioNameParts = ['name', 'prompt', 'model', 'seed', 'seconds', 'date'] as const;

export const audioContract = {
  describe: call(z.object({ modelId: idSchema }), audioModelInfoSchema),
  /** Newest first. */
  takes: call(nothingSchema, z.array(audioTakeSchema)),
  /** Queues takes; `watch` tells how they go. */
  generate: call(
    z.object({ modelId: idSchema, settings: audioSettingsSchema, source: audioSourceSchema.nullable() }),
    z.object({ runId: idSchema }),
  ),
  cancel: call(z.object({ runId: idSchema }), nothingSchema),
  /** Begins with what is being made now. `failed` ends a run; takes that were done stay. */
  watch: stream(
    nothingSchema,
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('run'), run: audioRunSchema.nullable() }),
      z.object({ type: z.literal('made'), take: audioTakeSchema }),
      z.object({ type: z.literal('failed'), error: errorDataSchema }),
      z.object({ type: z.literal('changed') }),
    ]),
  ),
  /** A part of a take as a file: 16-bit WAV for the player, or whatever is asked for. */
  file: call(
    z.object({
      takeId: idSchema,
      format: audioFormatSchema,
      /** In seconds; null: all. */
      region: z.object({ start: z.number().min(0), end: z.number().min(0) }).nullable(),
      /** The file's name without its ending; `audioNameParts` in braces are filled in. */
      template: z.string().max(200).default('{name}'),
    }),
    z.object({ name: z.string(), bytes: bytesSchema }),
  ),
  /** Lowest and highest sample of each of so many parts, -127 to 127, and how loud it is (LUFS). */
  peaks: call(
    z.object({ takeId: idSchema, parts: z.number().int().min(1).max(4000) }),
    z.object({ values: bytesSchema, loudness: z.number() }),
  ),
  rename: call(z.object({ takeId: idSchema, name: nameSchema }), audioTakeSchema),
  star: call(z.object({ takeId: idSchema, isStarred: z.boolean() }), audioTakeSchema),
  remove: call(z.object({ takeId: idSchema }), nothingSchema),
  /** Undo of `remove`. */
  restore: call(z.object({ takeId: idSchema }), audioTakeSchema),
  /** A dropped sound, decoded by the page, becomes a take to start from. f32, (channels, samples). */
  importSound: call(
    z.object({
      name: nameSchema,
      sampleRate: z.number().int().min(1000).max(768_000),
      channels: z.number().int().min(1).max(32),
      bytes: bytesSchema,
    }),
    audioTakeSchema,
  ),
  /** The settings that an exported file carries; null where it carries none. */
  settingsOf: call(z.object({ grantId: idSchema }), z.object({ settings: audioSettingsSchema.nullable() })),
} as const;
