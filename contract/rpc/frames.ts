/** What a frame may look like on arrival. The other end is never trusted to send well-formed ones. */
import { z } from 'zod';
import { errorDataSchema } from '../errors.ts';

const id = z.number().int().nonnegative();
const method = z.string().max(200);
/** Most events that a reader may allow ahead of reading them. */
export const maximumCredit = 1024;
const credit = z.number().int().min(1).max(maximumCredit);

export const requestFrameSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('call'), id, method, input: z.unknown() }),
  z.object({ t: z.literal('open'), id, method, input: z.unknown(), credit }),
  z.object({ t: z.literal('cancel'), id }),
  z.object({ t: z.literal('credit'), id, n: credit }),
]);
export type RequestFrame = z.infer<typeof requestFrameSchema>;

export const responseFrameSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('result'), id, output: z.unknown() }),
  z.object({ t: z.literal('event'), id, event: z.unknown() }),
  z.object({ t: z.literal('end'), id }),
  z.object({ t: z.literal('error'), id, error: errorDataSchema }),
]);
export type ResponseFrame = z.infer<typeof responseFrameSchema>;

/** One line per field at fault, at most three. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => {
      const field = issue.path.map(String).join('.');
      return field === '' ? issue.message : `${field}: ${issue.message}`;
    })
    .join('; ');
}
