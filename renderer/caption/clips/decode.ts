/** Frames of a clip, by mediabunny's readers and the browser's own decoders. Runs in a worker. */
import { ALL_FORMATS, CanvasSink, CustomSource, Input } from 'mediabunny';
import type { InputVideoTrack } from 'mediabunny';
import type { ClipFacts, ClipFrame } from '../../../contract/caption.ts';
import { LutraError } from '../../../contract/errors.ts';

export interface ClipFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Bytes `start` to `end` of the file. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

/** Names that people know, for codecs that are told as four letters. */
const codecNames: Readonly<Record<string, string>> = {
  avc: 'H.264',
  hevc: 'H.265 (HEVC)',
  vp8: 'VP8',
  vp9: 'VP9',
  av1: 'AV1',
  prores: 'ProRes',
  mpeg4: 'MPEG-4',
};
/** Fewer, larger messages; but none so large that it holds others up. */
const batchBytes = 4 * 2 ** 20;

export class Clip {
  readonly #input: Input;
  readonly #file: ClipFile;

  constructor(file: ClipFile) {
    this.#file = file;
    this.#input = new Input({
      formats: ALL_FORMATS,
      source: new CustomSource({
        getSize: () => file.sizeBytes,
        read: file.read,
        prefetchProfile: 'network',
      }),
    });
  }

  dispose(): void {
    this.#input.dispose();
  }

  /** Fails with `bad-file` or `not-supported` that names the file, and the codec. */
  async facts(): Promise<ClipFacts> {
    const track = await this.#track();
    const seconds = (await track.computeDuration()) - (await track.getFirstTimestamp());
    if (!(seconds > 0)) throw this.#bad('it has no length', 'Check that the clip was written to its end.');
    return {
      seconds,
      width: await track.getDisplayWidth(),
      height: await track.getDisplayHeight(),
      codec: await nameOfCodec(track),
    };
  }

  /** Its frames may be no longer than this on either side. */
  async sizeWithin(maxSide: number): Promise<FrameSize> {
    const track = await this.#track();
    const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
    const scale = Math.min(1, maxSide / Math.max(width, height));
    return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  }

  /**
   * The frame that is shown at each of `times` (ascending, seconds from the first frame): turned as the file says,
   * then made to fit `size`. In pieces, in order.
   */
  async *frames(times: readonly number[], size: FrameSize): AsyncGenerator<ClipFrame[]> {
    const track = await this.#track();
    const first = await track.getFirstTimestamp();
    const sink = new CanvasSink(track, { ...size, fit: 'fill', poolSize: 2 });
    let batch: ClipFrame[] = [];
    let at = 0;
    for await (const wrapped of sink.canvasesAtTimestamps(times.map((seconds) => first + seconds))) {
      const seconds = times[at];
      at += 1;
      if (seconds === undefined) break;
      if (wrapped === null)
        throw this.#bad(`nothing can be seen at ${seconds.toFixed(2)} s`, 'It may be damaged there.');
      const context = wrapped.canvas.getContext('2d') as OffscreenCanvasRenderingContext2D | null;
      if (context === null) throw new Error('No canvas can be drawn on.');
      const { data } = context.getImageData(0, 0, size.width, size.height);
      batch.push({ seconds, ...size, encoding: 'rgba', bytes: new Uint8Array(data.buffer) });
      if (batch.length * data.length >= batchBytes) {
        yield batch;
        batch = [];
      }
    }
    if (at < times.length) throw this.#bad(`it ends after ${at} of ${times.length} frames`, 'It may be cut.');
    if (batch.length > 0) yield batch;
  }

  async #track(): Promise<InputVideoTrack> {
    if (this.#file.sizeBytes === 0) throw this.#bad('it is empty', 'Copy the file again from where it came from.');
    if (!(await this.#input.canRead())) {
      throw this.#bad('it is no video file that can be read', 'MP4, MOV, WebM and MKV are read.');
    }
    const track = await this.#input.getPrimaryVideoTrack();
    if (track === null) throw this.#bad('it holds no picture, only sound', 'Captions are made of what can be seen.');
    if (await track.canDecode()) return track;
    const codec = await nameOfCodec(track);
    throw new LutraError({
      code: 'not-supported',
      message: `"${this.#file.name}": its codec ${codec} cannot be decoded on this machine.`,
      hint: 'Convert it to H.264, VP9 or AV1 and add it again.',
      subject: this.#file.name,
    });
  }

  #bad(what: string, hint: string): LutraError {
    return new LutraError({
      code: 'bad-file',
      message: `"${this.#file.name}": ${what}.`,
      hint,
      subject: this.#file.name,
    });
  }
}

/** "H.264 (avc1.64001f)"; where nothing knows it, the four letters of the file. */
async function nameOfCodec(track: InputVideoTrack): Promise<string> {
  const codec = await track.getCodec();
  if (codec === null) {
    const internal = await track.getInternalCodecId();
    return typeof internal === 'string' ? (codecNames[internal] ?? internal) : 'unknown';
  }
  const parameters = await track.getCodecParameterString();
  const name = codecNames[codec] ?? codec;
  return parameters === null ? name : `${name} (${parameters})`;
}
