/** How captions are made: what is asked of the model, and which frames of a clip it sees. The one place for defaults. */
import { z } from 'zod';
import { defaultSampling, samplingSchema } from './sampling.ts';

export const captionPresets = ['short', 'descriptive', 'tags', 'alt', 'product', 'narrated'] as const;
export type CaptionPreset = (typeof captionPresets)[number];

/** What each preset asks, in the language that models read best; a person may start a prompt of their own from it. */
export const presetPrompts: Readonly<Record<CaptionPreset, string>> = {
  short: 'Describe this in one short sentence.',
  descriptive:
    'Describe this in detail: what is shown, where it is, colours, light, and how it is composed. Write plain sentences.',
  tags: 'List training tags for this, most important first, in lower case, separated by commas. Write nothing else.',
  alt: 'Write alt text for someone who cannot see this: one or two plain sentences that say what matters.',
  product: 'Describe the product shown: what it is, material, colour, shape and details a buyer would look for.',
  narrated: 'Tell what is happening here as a narrator would, in the present tense, in order.',
};

/** What a prompt may hold in braces: the file's name without its ending, its folder's name, its text file's content. */
export const captionPromptParts = ['name', 'folder', 'tags'] as const;

export const captionSettingsSchema = z.object({
  preset: z.enum(captionPresets).default('descriptive'),
  /** Instead of the preset's, where it is not empty. */
  prompt: z.string().max(20_000).default(''),
  /** Put before and after each caption, such as a trigger word. */
  prefix: z.string().max(1000).default(''),
  suffix: z.string().max(1000).default(''),
  /** Words that the caption should not hold. */
  avoid: z.array(z.string().trim().min(1).max(100)).max(200).default([]),
  maxTokens: z.number().int().min(1).max(8192).default(256),
  /** 0: the likeliest words. */
  temperature: z.number().min(0).max(2).default(0),
  /** Null: another one each time. */
  seed: z.number().int().min(0).max(0xffff_ffff).nullable().default(null),
  /** Which frames of a clip the model sees. */
  sampling: samplingSchema.default(defaultSampling),
});
export type CaptionSettings = z.infer<typeof captionSettingsSchema>;
export const defaultCaptionSettings: CaptionSettings = captionSettingsSchema.parse({});
