/** What the user can set, with its defaults. This is the only place they are written. */
import { z } from 'zod';
import { samplerSchema, systemPromptSchema } from './chat.ts';
import { idSchema, nothingSchema } from './common.ts';
import { call } from './rpc/define.ts';

export const settingsSchema = z.object({
  theme: z.enum(['system', 'light', 'dark']).default('system'),
  language: z.enum(['system', 'en', 'zh-CN']).default('system'),
  /** The compute device. `auto`: a GPU where one works, else the CPU. */
  device: z.enum(['auto', 'cpu', 'vulkan', 'cuda', 'metal']).default('auto'),
  /** Null: the physical cores. */
  threads: z.number().int().min(1).max(512).nullable().default(null),
  /** How a chat's keys and values are kept, for models on Lutra's own kernels: `q8` takes half of `f16`'s memory. */
  chatCache: z.enum(['f16', 'q8']).default('f16'),
  /** Minutes without use after which a model leaves memory; null: never. */
  unloadAfterMinutes: z.number().int().min(1).max(10_080).nullable().default(30),
  chatModelId: idSchema.nullable().default(null),
  systemPrompt: systemPromptSchema.default(''),
  sampler: samplerSchema.default(samplerSchema.parse({})),
  sendWith: z.enum(['enter', 'mod-enter']).default('enter'),
});
export type Settings = z.infer<typeof settingsSchema>;
export const defaultSettings: Settings = settingsSchema.parse({});

export const settingsContract = {
  get: call(nothingSchema, settingsSchema),
  update: call(z.object({ patch: settingsSchema.partial() }), settingsSchema),
  reset: call(nothingSchema, settingsSchema),
} as const;
