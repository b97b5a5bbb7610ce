/** Clips through the system's ffmpeg: what they are, and frames of them, upright and with square pixels. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { ClipFacts, ClipFrame } from '../../contract/caption.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import { ffmpegHint, runFfmpeg, runFfprobe } from './ffmpeg.ts';

/** Containers alone: a playlist with a clip's name could have other files read. */
const formats = 'mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg';
const limits = ['-protocol_whitelist', 'file', '-format_whitelist', formats];
const mostProbeBytes = 1_000_000;
const mostFrameBytes = 600_000_000;
const probePatienceMs = 30_000;
/** Looking for scenes decodes minutes at a time. */
const framesPatienceMs = 15 * 60_000;
/** So much is read behind the last time that a frame is wanted of. */
const tailSeconds = 5;
const longestSeconds = 24 * 3600;

const probeSchema = z.object({
  streams: z.array(
    z.object({
      codec_name: z.string().default('unknown'),
      codec_tag_string: z.string().default(''),
      width: z.number().int().default(0),
      height: z.number().int().default(0),
      sample_aspect_ratio: z.string().optional(),
      duration: z.string().optional(),
      tags: z.object({ rotate: z.string().optional() }).optional(),
      side_data_list: z.array(z.object({ rotation: z.number().optional() })).optional(),
    }),
  ),
  format: z.object({ duration: z.string().optional() }).default({}),
});

export interface ClipOptions {
  readonly signal?: AbortSignal;
  /** Other programs than the system's, for tests. */
  readonly ffmpeg?: string;
  readonly ffprobe?: string;
}

/** Fails with `bad-file`, `file-access`, or `not-supported` where there is no ffmpeg; the message names the file. */
export async function clipFacts(path: string, { signal, ffprobe }: ClipOptions = {}): Promise<ClipFacts> {
  const name = basename(path);
  await requireReadable(path);
  const entries =
    'stream=codec_name,codec_tag_string,width,height,sample_aspect_ratio,duration:stream_tags=rotate:stream_side_data=rotation:format=duration';
  const args = [...limits, '-select_streams', 'v:0', '-show_entries', entries, '-of', 'json', fileAddress(path)];
  const said = await runFfprobe(args, {
    mostBytes: mostProbeBytes,
    patienceMs: probePatienceMs,
    ...(signal === undefined ? {} : { signal }),
    ...(ffprobe === undefined ? {} : { program: ffprobe }),
  }).catch((thrown: unknown) => {
    throw explained(path, thrown);
  });
  const { streams, format } = probeSchema.parse(JSON.parse(said.toString() || '{"streams":[]}'));
  const [stream] = streams;
  if (stream === undefined || stream.width === 0 || stream.height === 0) throw bad(path, 'holds no moving picture');
  // What ffmpeg has no name for is told by the file's own four letters.
  if (/^(none|unknown)$/.test(stream.codec_name))
    throw undecodable(path, stream.codec_tag_string || 'something unknown');
  const seconds = Number(stream.duration ?? format.duration ?? Number.NaN);
  const known = Number.isFinite(seconds) && seconds > 0 ? seconds : Number(format.duration ?? Number.NaN);
  if (!(known > 0)) throw bad(path, 'has no length: there is nothing in it to look at');
  if (known > longestSeconds) throw bad(path, 'is longer than a day', 'Cut out the part that you need.');
  const turned = Math.abs(rotationOf(stream)) % 180 === 90;
  const width = Math.max(1, Math.round(stream.width * ratioOf(stream.sample_aspect_ratio)));
  return {
    seconds: known,
    width: turned ? stream.height : width,
    height: turned ? width : stream.height,
    codec: stream.codec_name.slice(0, 100) || name,
  };
}

type Stream = z.infer<typeof probeSchema>['streams'][number];

function rotationOf({ tags, side_data_list: sides }: Stream): number {
  const side = sides?.find(({ rotation }) => rotation !== undefined)?.rotation;
  return side ?? Number(tags?.rotate ?? 0);
}

/** Of a pixel, width to height. */
function ratioOf(text: string | undefined): number {
  const match = /^(\d+):(\d+)$/.exec(text ?? '');
  const ratio = Number(match?.[1]) / Number(match?.[2]);
  return ratio > 0.1 && ratio < 10 ? ratio : 1;
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
  readonly encoding: 'rgb' | 'rgba';
}

/** The size of frames no side of which is longer than `maxSide`. */
export function frameSize({ width, height }: Pick<ClipFacts, 'width' | 'height'>, maxSide: number): FrameSize {
  const share = Math.min(1, maxSide / Math.max(width, height));
  const scaled = (side: number): number => Math.max(1, Math.round(side * share));
  return { width: scaled(width), height: scaled(height), encoding: 'rgb' };
}

/** The frames shown at `times`, which ascend. Where the clip ends before one, its last frame stands for it. */
export async function* clipFrames(
  path: string,
  times: readonly number[],
  size: FrameSize,
  options: ClipOptions = {},
): AsyncGenerator<ClipFrame, void, undefined> {
  for (const run of evenRuns(times)) yield* evenFrames(path, run, size, options);
}

interface EvenRun {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

const mostOfARun = 512;

/** Times one step apart each, which one pass through the clip can give. */
export function evenRuns(times: readonly number[]): EvenRun[] {
  const runs: EvenRun[] = [];
  let first = 0;
  while (first < times.length) {
    const start = times[first] ?? 0;
    const step = (times[first + 1] ?? start) - start;
    const rest = times.slice(first + 1, step > 0 ? first + mostOfARun : first + 1);
    const odd = rest.findIndex((time, at) => Math.abs(time - (start + (at + 1) * step)) >= 1e-4);
    const count = 1 + (odd === -1 ? rest.length : odd);
    runs.push({ start, step: count === 1 ? 1 : step, count });
    first += count;
  }
  return runs;
}

async function* evenFrames(
  path: string,
  { start, step, count }: EvenRun,
  { width, height, encoding }: FrameSize,
  { signal, ffmpeg }: ClipOptions,
): AsyncGenerator<ClipFrame, void, undefined> {
  // `fps` with these settings gives, for each multiple of a step, the frame that is shown then, however uneven the
  // clip's own frames are. The seek goes to a key frame before: what is shown at the start may have begun long ago.
  const filters = [
    `fps=fps=${(1 / step).toFixed(9)}:start_time=0:round=up`,
    `scale=${width}:${height}:flags=area`,
    'setsar=1',
  ];
  const pixel = encoding === 'rgb' ? 'rgb24' : 'rgba';
  const length = step * count + tailSeconds;
  const args = [...limits, '-noaccurate_seek', '-ss', start.toFixed(6), '-t', length.toFixed(6)];
  args.push('-i', fileAddress(path));
  args.push('-map', '0:v:0', '-an', '-sn', '-vf', filters.join(','), '-frames:v', String(count));
  args.push('-f', 'rawvideo', '-pix_fmt', pixel, 'pipe:1');
  const frameBytes = width * height * (encoding === 'rgb' ? 3 : 4);
  const bytes = await runFfmpeg(args, {
    mostBytes: mostFrameBytes,
    patienceMs: framesPatienceMs,
    ...(signal === undefined ? {} : { signal }),
    ...(ffmpeg === undefined ? {} : { program: ffmpeg }),
  }).catch((thrown: unknown) => {
    throw explained(path, thrown);
  });
  const whole = Math.floor(bytes.length / frameBytes);
  if (whole === 0) throw bad(path, `shows nothing at ${start.toFixed(1)} s`, 'It may be damaged. Get it again.');
  for (let at = 0; at < count; at += 1) {
    const which = Math.min(at, whole - 1);
    const frame = Uint8Array.from(bytes.subarray(which * frameBytes, (which + 1) * frameBytes));
    yield { seconds: start + at * step, width, height, encoding, bytes: frame };
  }
}

/** Never taken for an option, whatever it begins with. */
const fileAddress = (path: string): string => `file:${path}`;

async function requireReadable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (thrown) {
    const { code, hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError(
      {
        code: code === 'internal' ? 'file-access' : code,
        message: `"${basename(path)}" cannot be read.`,
        hint,
        subject: path,
      },
      { cause: thrown },
    );
  }
}

function bad(path: string, what: string, hint = 'Get the clip again, or remove it.'): LutraError {
  return new LutraError({ code: 'bad-file', message: `"${basename(path)}" ${what}.`, hint, subject: path });
}

function undecodable(path: string, codec: string): LutraError {
  return new LutraError({
    code: 'not-supported',
    message: `"${basename(path)}" is encoded with ${codec}, which this machine cannot decode.`,
    hint: 'Convert it to H.264 in an MP4 file.',
    subject: path,
  });
}

function explained(path: string, thrown: unknown): unknown {
  const { code, message } = toErrorData(thrown);
  if (code === 'not-supported') {
    return new LutraError({
      code: 'not-supported',
      message: `"${basename(path)}" is a clip, and ffmpeg, which decodes clips here, is not installed.`,
      hint: ffmpegHint,
      subject: path,
    });
  }
  if (code !== 'bad-file') return thrown;
  const codec = /Decoder \(codec (\w+)\) not found/.exec(message)?.[1];
  if (codec !== undefined) return undecodable(path, codec);
  const line =
    message
      .split('\n')[0]
      ?.replaceAll(`file:${path}`, '')
      .replace(/^[:\s]+/, '') ?? '';
  return bad(path, `cannot be decoded: ${line.replace(/\.$/, '')}`);
}
