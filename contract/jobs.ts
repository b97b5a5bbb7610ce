/** Long work that survives a quit or a crash. */
import { z } from 'zod';
import { idSchema, nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call } from './rpc/define.ts';

export const jobStatusSchema = z.enum(['queued', 'running', 'paused', 'interrupted', 'done', 'failed', 'cancelled']);
export type JobStatus = z.infer<typeof jobStatusSchema>;

export const jobSchema = z.object({
  id: idSchema,
  /** `models.scan`, `models.verify`, … */
  kind: z.string(),
  title: z.string(),
  status: jobStatusSchema,
  done: z.number().nonnegative(),
  /** Null while the whole is unknown. In `unit`. */
  total: z.number().nonnegative().nullable(),
  unit: z.enum(['items', 'bytes']),
  etaSeconds: z.number().nonnegative().nullable(),
  /** One line about the present step, or the outcome. */
  note: z.string(),
  error: errorDataSchema.nullable(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Job = z.infer<typeof jobSchema>;

export const jobsContract = {
  list: call(nothingSchema, z.array(jobSchema)),
  cancel: call(z.object({ jobId: idSchema }), nothingSchema),
  pause: call(z.object({ jobId: idSchema }), nothingSchema),
  /** Goes on with a paused, interrupted, failed or cancelled job from where it was. */
  resume: call(z.object({ jobId: idSchema }), nothingSchema),
  /** Takes an ended job out of the list. */
  dismiss: call(z.object({ jobId: idSchema }), nothingSchema),
} as const;
