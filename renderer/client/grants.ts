/** A dropped or chosen file becomes a grant: the id by which main knows it. */
import { LutraError, errorDataSchema } from '../../contract/errors.ts';
import { grantAnswerSchema, grantSchema } from '../../contract/files.ts';
import type { Grant } from '../../contract/files.ts';
import { electronBridge } from './dial.ts';

export interface GrantOptions {
  /** Bytes sent so far, of `file.size`. Not called where nothing needs to be sent. */
  onProgress?: (sentBytes: number) => void;
  signal?: AbortSignal;
}

/** In Electron main reads the file where it lies; in a browser its bytes are sent to the host. */
export async function grantFile(file: File, options: GrantOptions = {}): Promise<Grant> {
  const bridge = electronBridge();
  if (bridge === null) return upload(file, options);
  const answer = grantAnswerSchema.parse(await bridge.grantFor(file));
  if ('error' in answer) throw new LutraError(answer.error);
  return answer.grant;
}

/** XMLHttpRequest, not fetch: only it reports upload progress, and it streams the file from disk. */
function upload(file: File, { onProgress, signal }: GrantOptions): Promise<Grant> {
  return new Promise((resolve, reject) => {
    const cancelled = (): void => reject(new LutraError({ code: 'cancelled', message: 'Cancelled.' }));
    if (signal?.aborted === true) return cancelled();
    const request = new XMLHttpRequest();
    request.open('POST', `/upload?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.addEventListener('progress', (event) => onProgress?.(event.loaded));
    request.addEventListener('abort', cancelled);
    request.addEventListener('error', () =>
      reject(
        new LutraError({
          code: 'disconnected',
          message: `The connection ended while "${file.name}" was being sent.`,
          hint: 'Drop the file again once Lutra is connected.',
          subject: file.name,
        }),
      ),
    );
    request.addEventListener('load', () => {
      try {
        resolve(parseUploadAnswer(request.status, request.responseText, file.name));
      } catch (thrown) {
        reject(thrown);
      }
    });
    signal?.addEventListener('abort', () => request.abort(), { once: true });
    request.send(file);
  });
}

/** Throws a `LutraError`: the host's own, or one that names the file. */
export function parseUploadAnswer(status: number, body: string, fileName: string): Grant {
  let answer: unknown = null;
  try {
    answer = JSON.parse(body);
  } catch {
    // Answers that are not JSON are told by their status below.
  }
  const grant = grantSchema.safeParse(answer);
  if (status >= 200 && status < 300 && grant.success) return grant.data;
  const error = errorDataSchema.safeParse((answer as { error?: unknown } | null)?.error ?? answer);
  if (error.success) throw new LutraError(error.data);
  throw new LutraError({
    code: status === 413 || status === 507 ? 'disk-full' : 'file-access',
    message: `"${fileName}" could not be sent to Lutra (status ${status}).`,
    subject: fileName,
  });
}
