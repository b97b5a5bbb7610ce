/** The engine process, as the user sees it: devices, memory, health. */
import { z } from 'zod';
import { nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call } from './rpc/define.ts';

export const deviceSchema = z.object({
  /** `cpu`, `vulkan`, `cuda`, `metal`, … as ggml names its backends, lower case. */
  backend: z.string(),
  name: z.string(),
  description: z.string(),
  memoryTotalBytes: z.number().nonnegative(),
  memoryFreeBytes: z.number().nonnegative(),
  /** Instruction sets or capabilities, e.g. `AVX512_VNNI`. */
  features: z.array(z.string()),
  /** Whether our own engine runs language models from folders on it. */
  runsFolders: z.boolean(),
});
export type Device = z.infer<typeof deviceSchema>;

export const deviceMemorySchema = z.object({
  name: z.string(),
  freeBytes: z.number().nonnegative(),
  totalBytes: z.number().nonnegative(),
});
export type DeviceMemory = z.infer<typeof deviceMemorySchema>;

export const selfTestSchema = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

export const engineReportSchema = z.object({
  devices: z.array(deviceSchema),
  versions: z.object({
    lutra: z.string(),
    ggml: z.string(),
    nodeLlamaCpp: z.string(),
    node: z.string(),
    addon: z.string(),
  }),
  /** Which CPU module is loaded, and why the one we build is not, where that is so. */
  cpuModule: z.object({ path: z.string(), isOwn: z.boolean(), note: z.string() }),
  /** Devices that were looked for and not found: name and reason. */
  unavailable: z.array(z.object({ backend: z.string(), reason: z.string() })),
  selfTest: selfTestSchema,
});
export type EngineReport = z.infer<typeof engineReportSchema>;

/** Of a model on a graphics card: how many of `all` its layers are there; the CPU runs those before them. */
export const cardLayersSchema = z.object({ count: z.number().int().positive(), all: z.number().int().positive() });

export const engineStatusSchema = z.object({
  state: z.enum(['starting', 'ready', 'busy', 'restarting', 'failed', 'stopped']),
  pid: z.number().int().nullable(),
  /** Times it came back after a crash since the studio opened. */
  restarts: z.number().int().nonnegative(),
  lastCrash: z.object({ at: timestampSchema, error: errorDataSchema }).nullable(),
  queueLength: z.number().int().nonnegative(),
  loadedModel: z
    .object({
      name: z.string(),
      device: z.string(),
      /** Which of our kernels it runs on, e.g. `4-bit avx512 int8`; null where another engine runs it. */
      kernel: z.string().nullable(),
      memoryBytes: z.number().nonnegative(),
      cardLayers: cardLayersSchema.optional(),
      /** Why it runs there and not, or not all of it, on the graphics card, where that is so. */
      note: z.string().optional(),
    })
    .nullable(),
  /** Resident memory of the engine process, and of the machine. */
  memory: z.object({
    engineBytes: z.number().nonnegative(),
    machineFreeBytes: z.number().nonnegative(),
    machineTotalBytes: z.number().nonnegative(),
    /** Of the graphics card that our engine would use; null where there is none. */
    card: deviceMemorySchema.nullable(),
  }),
  /** Speed of the answer in the making, or of the last one; null before the first. */
  tokensPerSecond: z.number().nonnegative().nullable(),
  report: engineReportSchema.nullable(),
});
export type EngineStatus = z.infer<typeof engineStatusSchema>;

export const engineContract = {
  status: call(nothingSchema, engineStatusSchema),
  /** Ends the process and starts a fresh one. */
  restart: call(nothingSchema, nothingSchema),
  /** Takes the loaded model out of memory. */
  unload: call(nothingSchema, nothingSchema),
} as const;
