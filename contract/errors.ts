/** Errors as data: what happened, to which file or field, and what to do next. */
import { z } from 'zod';

export const errorCodes = [
  'bad-input', // an argument is wrong; the hint names the field
  'not-found', // the thing asked for does not exist (any more)
  'not-supported', // this build or host cannot do it
  'conflict', // it is busy, or exists already
  'cancelled', // the user or the caller stopped it
  'bad-file', // a file is truncated, hostile or not what it says
  'file-access', // missing, unreadable, read-only, or outside what was granted
  'disk-full',
  'out-of-memory',
  'database', // locked, corrupt or on a bad disk
  'engine-crashed', // the engine process ended while it worked on this
  'engine-unavailable', // the engine cannot be started
  'disconnected', // the connection ended before the answer came
  'unknown-method',
  'internal', // a fault of ours
] as const;

export const errorCodeSchema = z.enum(errorCodes);
export type ErrorCode = z.infer<typeof errorCodeSchema>;

export const errorDataSchema = z.object({
  code: errorCodeSchema,
  /** One sentence: what happened, to which file or field. */
  message: z.string(),
  /** One sentence: what to do next. */
  hint: z.string().optional(),
  /** The file, field or method it is about. */
  subject: z.string().optional(),
});
export type ErrorData = z.infer<typeof errorDataSchema>;

/** The one error type that crosses the contract. */
export class LutraError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly subject: string | undefined;

  constructor(data: ErrorData, options?: { cause?: unknown }) {
    super(data.message, options);
    this.name = 'LutraError';
    this.code = data.code;
    this.hint = data.hint;
    this.subject = data.subject;
  }

  toData(): ErrorData {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.subject === undefined ? {} : { subject: this.subject }),
    };
  }
}

/** Turns whatever was thrown into error data. Unknown errors keep their message and become `internal`. */
export function toErrorData(thrown: unknown): ErrorData {
  if (thrown instanceof LutraError) return thrown.toData();
  if (thrown instanceof DOMException && thrown.name === 'AbortError') {
    return { code: 'cancelled', message: 'Cancelled.' };
  }
  const systemCode = (thrown as { code?: unknown } | null)?.code;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (systemCode === 'ABORT_ERR') return { code: 'cancelled', message: 'Cancelled.' };
  if (systemCode === 'ENOSPC') {
    return { code: 'disk-full', message, hint: 'Free some space on that disk and try again.' };
  }
  if (systemCode === 'ENOENT') {
    return { code: 'file-access', message, hint: 'The file or folder is gone. Check where it was moved to.' };
  }
  if (systemCode === 'EACCES' || systemCode === 'EPERM' || systemCode === 'EROFS') {
    return { code: 'file-access', message, hint: 'Check the permissions of that file or folder.' };
  }
  return { code: 'internal', message };
}
