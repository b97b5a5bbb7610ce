/** Small schemas that several capabilities share. */
import { z } from 'zod';

/** An opaque id made by main. */
export const idSchema = z.string().min(1).max(64);
/** Milliseconds since 1970-01-01 UTC. */
export const timestampSchema = z.number().int().nonnegative();
export const bytesSchema = z.instanceof(Uint8Array);
export const nothingSchema = z.object({}).strict();
/** A name a person typed: trimmed, one line, at most 200 characters. Longer names are refused, not cut. */
export const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\r\n\u0000]*$/u);
