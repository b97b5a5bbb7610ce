/** Grants: the page names files by opaque ids. Dropping or choosing a file creates one. */
import { z } from 'zod';
import { idSchema, nothingSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call } from './rpc/define.ts';

export const grantSchema = z.object({
  id: idSchema,
  /** Last path component, for display. */
  name: z.string(),
  isFolder: z.boolean(),
  sizeBytes: z.number().int().nonnegative(),
});
export type Grant = z.infer<typeof grantSchema>;

/** What Electron's preload brings back for a dropped file: errors travel as data, since its channel keeps only their text. */
export const grantAnswerSchema = z.union([z.object({ grant: grantSchema }), z.object({ error: errorDataSchema })]);
export type GrantAnswer = z.infer<typeof grantAnswerSchema>;

export const folderEntrySchema = z.object({
  name: z.string(),
  path: z.string(),
  isFolder: z.boolean(),
  /** True for a file or folder that looks like a model. */
  looksLikeModel: z.boolean(),
});

/** What a file dialog is for. `media`: pictures and clips; `folder`: any folder, to read from or write to. */
export const pickPurposeSchema = z.enum(['model-file', 'model-folder', 'chat-import', 'media', 'folder']);
export type PickPurpose = z.infer<typeof pickPurposeSchema>;

export const filesContract = {
  /** Opens the system's file dialog (desktop only: see `app.info.canPickFiles`). Null when dismissed. */
  pick: call(z.object({ purpose: pickPurposeSchema }), z.object({ grants: z.array(grantSchema) }).nullable()),
  /** Grants a path that the person typed or browsed to. Headless host only. */
  grantPath: call(z.object({ path: z.string().min(1).max(4096) }), grantSchema),
  /** Lists a folder of the host's disk so that a person can browse to a model. Headless host only. */
  browse: call(
    z.object({ path: z.string().max(4096).nullable() }),
    z.object({ path: z.string(), parent: z.string().nullable(), entries: z.array(folderEntrySchema) }),
  ),
  /** Grants the sample pictures and clips that come with Lutra, in the order of their names; none where there are none. */
  samples: call(nothingSchema, z.object({ grants: z.array(grantSchema) })),
  revoke: call(z.object({ grantId: idSchema }), nothingSchema),
} as const;
