/** The system's ffmpeg, for what nothing here decodes. */
import { spawn } from 'node:child_process';
import { LutraError } from '../../contract/errors.ts';

/** How to get it, as a hint under an error. */
export const ffmpegHint = 'Install ffmpeg (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg).';

/** Most of its own words that are kept. */
const longestComplaint = 400;

export interface FfmpegOptions {
  readonly mostBytes: number;
  /** Ended after so long: a file made for it can keep a decoder busy for ever. */
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
  readonly program?: string;
}

/**
 * Runs ffmpeg (or `program`) without a shell and gives what it writes. Fails with `not-supported` where it is not
 * installed, with `bad-file` and its own words where it gives up or writes more than `mostBytes`.
 */
export function runFfmpeg(
  args: readonly string[],
  { program = 'ffmpeg', ...options }: FfmpegOptions,
): Promise<Buffer<ArrayBuffer>> {
  return run(program, ['-nostdin', '-hide_banner', '-loglevel', 'error', ...args], options);
}

/** The same of ffprobe, which comes with ffmpeg. */
export function runFfprobe(
  args: readonly string[],
  { program = 'ffprobe', ...options }: FfmpegOptions,
): Promise<Buffer<ArrayBuffer>> {
  return run(program, ['-hide_banner', '-loglevel', 'error', ...args], options);
}

async function run(
  program: string,
  args: readonly string[],
  { mostBytes, signal, patienceMs }: Omit<FfmpegOptions, 'program'>,
): Promise<Buffer<ArrayBuffer>> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  const pieces: Buffer[] = [];
  let size = 0;
  let complaint = '';
  let isLate = false;
  const late = (): void => {
    isLate = true;
    child.kill('SIGKILL');
  };
  const timer = patienceMs === undefined ? null : setTimeout(late, patienceMs);
  child.stdout.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size <= mostBytes) pieces.push(piece);
    else child.kill();
  });
  child.stderr.on('data', (piece: Buffer) => {
    complaint = (complaint + piece.toString()).slice(0, longestComplaint);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).catch((thrown: unknown) => {
    if (signal?.aborted === true) throw thrown;
    throw new LutraError({ code: 'not-supported', message: 'ffmpeg is not installed.', hint: ffmpegHint });
  });
  if (timer !== null) clearTimeout(timer);
  if (isLate) throw new LutraError({ code: 'bad-file', message: 'It takes far too long to decode.' });
  if (size > mostBytes)
    throw new LutraError({ code: 'bad-file', message: 'It is too long.', hint: 'Cut out the part that you need.' });
  if (code !== 0) throw new LutraError({ code: 'bad-file', message: complaint.trim() || 'ffmpeg gave up.' });
  return Buffer.concat(pieces, size);
}
