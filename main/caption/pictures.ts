/** What pages show of items: pictures, frames of clips, and the bytes of the files themselves. */
import { open } from 'node:fs/promises';
import type { ClipFrame } from '../../contract/caption.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { Engine } from '../engine/engine.ts';
import { Turns } from '../engine/turns.ts';
import { keyOf } from './captioner.ts';
import type { ClipFile, ClipReader } from './clips.ts';
import type { CaptionList } from './list.ts';
import type { CaptionRow } from './rows.ts';
import { Thumbnails } from './thumbnails.ts';
import type { Shrunk } from './thumbnails.ts';

export interface CaptionPicturesOptions {
  readonly engine: Engine;
  readonly list: CaptionList;
  readonly folder: string;
  readonly openClip: (file: ClipFile, signal: AbortSignal) => Promise<ClipReader>;
}

interface PictureAnswer {
  readonly bytes: Shrunk;
  readonly type: 'image/webp';
}

/** Of a clip, this share of it stands for the whole: the very first frame is often black. */
const coverShare = 0.1;
/** Frames that a model looked at are kept in this size for the timeline. */
const frameSide = 320;
const atOnce = 3;

export class CaptionPictures {
  readonly #options: CaptionPicturesOptions;
  readonly #thumbnails: Thumbnails;
  /** Files that ended the engine or cannot be read, by their key, so that none is tried again and again. */
  readonly #bad = new Map<string, ErrorData>();
  readonly #lanes = Array.from({ length: atOnce }, () => new Turns());

  constructor(options: CaptionPicturesOptions) {
    this.#options = options;
    this.#thumbnails = new Thumbnails(options.folder);
  }

  async picture(
    row: CaptionRow,
    side: number,
    seconds: number | null,
    signal: AbortSignal,
  ): Promise<PictureAnswer | null> {
    const key = await keyOf(row.path);
    const known = this.#bad.get(key);
    if (known !== undefined) throw new LutraError(known);
    const bytes =
      row.kind === 'picture'
        ? await this.#thumbnails.get(key, side, () => this.#shrunk(row, key, side))
        : await this.#frame(row, key, side, seconds, signal);
    return bytes === null ? null : { bytes, type: 'image/webp' };
  }

  /** A frame that was looked at, small, for the timeline. */
  async keepFrame(path: string, { seconds, ...frame }: ClipFrame): Promise<void> {
    const key = frameKey(await keyOf(path), seconds);
    await this.#thumbnails.get(key, frameSide, async () => {
      const name = path.split(/[/\\]/).at(-1) ?? path;
      return (await this.#options.engine.shrink(name, { type: 'bytes', ...frame }, frameSide)).bytes;
    });
  }

  async #shrunk(row: CaptionRow, key: string, side: number): Promise<Shrunk> {
    const lane = this.#lanes.toSorted((a, b) => a.waiting - b.waiting || Number(a.isTaken) - Number(b.isTaken))[0];
    const giveBack = await lane?.take(0);
    try {
      const { bytes, width, height } = await this.#options.engine.shrink(
        row.name,
        { type: 'file', path: row.path },
        side,
      );
      if (row.width !== width || row.height !== height)
        this.#options.list.rows.setFacts(row.id, { width, height, seconds: null });
      return bytes;
    } catch (thrown) {
      const error = toErrorData(thrown);
      if (error.code !== 'engine-unavailable' && error.code !== 'cancelled') this.#bad.set(key, error);
      throw thrown;
    } finally {
      giveBack?.();
    }
  }

  /** Null where nobody here decodes it. */
  async #frame(
    row: CaptionRow,
    key: string,
    side: number,
    seconds: number | null,
    signal: AbortSignal,
  ): Promise<Shrunk | null> {
    if (seconds !== null && side <= frameSide) {
      const kept = await this.#thumbnails.find(frameKey(key, seconds), frameSide);
      if (kept !== null) return kept;
    }
    const name = frameKey(key, seconds ?? 'cover');
    try {
      return await this.#thumbnails.get(name, side, async () => {
        const clip = await this.#options.openClip({ itemId: row.id, path: row.path, name: row.name }, signal);
        const { width, height, seconds: length } = clip.facts;
        if (row.seconds === null) this.#options.list.rows.setFacts(row.id, { width, height, seconds: length });
        const [frame] = await clip.frames([seconds ?? length * coverShare], side);
        if (frame === undefined) throw new LutraError({ code: 'bad-file', message: `"${row.name}" shows nothing.` });
        const { seconds: _, ...source } = frame;
        return (await this.#options.engine.shrink(row.name, { type: 'bytes', ...source }, side)).bytes;
      });
    } catch (thrown) {
      const error = toErrorData(thrown);
      if (error.code === 'not-supported') return null;
      if (error.code === 'bad-file') this.#bad.set(key, error);
      throw thrown;
    }
  }
}

const frameKey = (key: string, seconds: number | 'cover'): string =>
  `${key}@${seconds === 'cover' ? seconds : seconds.toFixed(3)}`;

export async function readBytes(
  { path, name }: CaptionRow,
  offset: number,
  length: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; sizeBytes: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const buffer = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      return { bytes: buffer.subarray(0, bytesRead), sizeBytes: size };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    const { code, hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError(
      { code: code === 'internal' ? 'file-access' : code, message: `"${name}" cannot be opened.`, hint, subject: path },
      { cause: thrown },
    );
  }
}
