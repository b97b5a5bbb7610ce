/** The models the user pointed to. Files stay where they are. */
import { z } from 'zod';
import { idSchema, nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call } from './rpc/define.ts';

export const modelKindSchema = z.enum(['gguf', 'hf', 'diffusers', 'stable-audio']);
export const capabilitySchema = z.enum(['chat', 'caption', 'audio', 'embedding']);
export type Capability = z.infer<typeof capabilitySchema>;

/** Does it fit? All sizes in bytes, against memory that was free when it was asked. */
export const fitSchema = z.object({
  verdict: z.enum(['fits', 'tight', 'too-large', 'unknown']),
  weightsBytes: z.number().nonnegative(),
  /** Key/value cache at `contextLength`. */
  cacheBytes: z.number().nonnegative(),
  /** Compute buffers and bookkeeping, estimated. */
  overheadBytes: z.number().nonnegative(),
  neededBytes: z.number().nonnegative(),
  availableBytes: z.number().nonnegative(),
  contextLength: z.number().int().nonnegative(),
  /** Where it would run, e.g. `CPU` or a GPU's name. */
  device: z.string(),
});
export type Fit = z.infer<typeof fitSchema>;

export const modelSchema = z.object({
  id: idSchema,
  name: z.string(),
  /** For display and for the person to find it; the page never sends it back. */
  location: z.string(),
  kind: modelKindSchema.nullable(),
  architecture: z.string().nullable(),
  parameterCount: z.number().nonnegative().nullable(),
  sizeBytes: z.number().int().nonnegative(),
  /** As its publisher writes it: `Q4_K_M`, `bnb nf4`, `bf16`, … */
  quantization: z.string().nullable(),
  bitsPerWeight: z.number().positive().nullable(),
  license: z.string().nullable(),
  /** Tokens the model was trained for. */
  contextLength: z.number().int().positive().nullable(),
  capabilities: z.array(capabilitySchema),
  /** `ready`: usable now. `not-yet`: understood, but this version cannot run it; `problem` says so. */
  status: z.enum(['ready', 'not-yet', 'broken', 'missing', 'checking']),
  problem: errorDataSchema.nullable(),
  hasChatTemplate: z.boolean(),
  /** It came with Lutra. */
  isDemo: z.boolean(),
  /** A chat model with weights in 16 or 32 bits: a smaller copy can be made. */
  canQuantize: z.boolean(),
  addedAt: timestampSchema,
});
export type Model = z.infer<typeof modelSchema>;

/** How a smaller copy is made. The one place for its defaults. */
export const quantizeOptionsSchema = z.object({
  bits: z.union([z.literal(2), z.literal(3), z.literal(4)]).default(4),
  /** Weights that share a scale: fewer are more exact and larger. */
  groupSize: z.union([z.literal(32), z.literal(64), z.literal(128), z.literal(256)]).default(64),
  /** `nf`: the NormalFloat table for all; `learned`: table and scales fitted to each weight. */
  table: z.enum(['nf', 'learned']).default('learned'),
});
export type QuantizeOptions = z.infer<typeof quantizeOptionsSchema>;
export const defaultQuantizeOptions: QuantizeOptions = quantizeOptionsSchema.parse({});

export const modelsContract = {
  list: call(nothingSchema, z.array(modelSchema)),
  /** Adds a granted file or every model under a granted folder. A long scan becomes a job. */
  add: call(z.object({ grantId: idSchema }), z.object({ models: z.array(modelSchema), jobId: idSchema.nullable() })),
  /** Forgets a model; a demo is only hidden. Its files are not touched. */
  remove: call(z.object({ modelId: idSchema }), nothingSchema),
  /** Undo of `remove`. */
  restore: call(z.object({ modelId: idSchema }), modelSchema),
  /** Puts the demo models that were hidden back into the list; gives them. */
  showDemos: call(nothingSchema, z.array(modelSchema)),
  /** Looks at the files again. */
  refresh: call(z.object({ modelId: idSchema.nullable() }), z.array(modelSchema)),
  fit: call(
    z.object({ modelId: idSchema, contextLength: z.number().int().positive().max(10_000_000).nullable() }),
    fitSchema,
  ),
  /** Starts a job that reads every byte and reports a SHA-256 per file. */
  verify: call(z.object({ modelId: idSchema }), z.object({ jobId: idSchema })),
  /** What `quantize` would make, and whether that would fit into memory that is free now. */
  predictQuantized: call(
    z.object({ modelId: idSchema, options: quantizeOptionsSchema }),
    z.object({
      /** Of the weights now, and of the copy's. */
      sourceBytes: z.number().nonnegative(),
      weightBytes: z.number().nonnegative(),
      fit: fitSchema.pick({ verdict: true, neededBytes: true, availableBytes: true }),
      /** The folder that would be made. */
      destination: z.string(),
    }),
  ),
  /** Starts a job that makes a smaller copy and adds it to the list. A job that was stopped goes on where it was. */
  quantize: call(z.object({ modelId: idSchema, options: quantizeOptionsSchema }), z.object({ jobId: idSchema })),
} as const;
