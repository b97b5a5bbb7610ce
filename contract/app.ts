/** The studio itself: what host it runs on, how its data is, and what changed. */
import { z } from 'zod';
import { nothingSchema } from './common.ts';
import { engineStatusSchema } from './engine.ts';
import { errorDataSchema } from './errors.ts';
import { jobSchema } from './jobs.ts';
import { call, stream } from './rpc/define.ts';
import { settingsSchema } from './settings.ts';

export const appInfoSchema = z.object({
  version: z.string(),
  host: z.enum(['electron', 'headless']),
  platform: z.enum(['linux', 'darwin', 'win32']),
  dataFolder: z.string(),
  canPickFiles: z.boolean(),
});

/** Says only what changed; readers ask again. Small state rides along. */
export const appEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('models') }),
  z.object({ type: z.literal('conversations') }),
  z.object({ type: z.literal('job'), job: jobSchema }),
  z.object({ type: z.literal('jobs') }),
  z.object({ type: z.literal('settings'), settings: settingsSchema }),
  z.object({ type: z.literal('engine'), status: engineStatusSchema }),
  /** For a toast: something the user should know and did not ask for. */
  z.object({ type: z.literal('notice'), level: z.enum(['info', 'warning', 'error']), error: errorDataSchema }),
]);
export type AppEvent = z.infer<typeof appEventSchema>;

export const dataHealthSchema = z.object({
  ok: z.boolean(),
  /** What the integrity check at start found. */
  problem: errorDataSchema.nullable(),
  backups: z.array(z.object({ name: z.string(), createdAt: z.number().int(), sizeBytes: z.number().int() })),
});

export const appContract = {
  info: call(nothingSchema, appInfoSchema),
  /** Begins with the present engine status and settings. */
  events: stream(nothingSchema, appEventSchema),
  /** Opens an http(s) address in the system's browser, after the page asked the person. */
  openExternal: call(z.object({ url: z.string().max(4096) }), nothingSchema),
  health: call(nothingSchema, dataHealthSchema),
  /** Puts a backup in place of the database; the present one is set aside, not deleted. */
  restoreBackup: call(z.object({ name: z.string().max(200) }), nothingSchema),
  backupNow: call(nothingSchema, z.object({ name: z.string() })),
} as const;
