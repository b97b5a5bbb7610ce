/**
 * Pictures as pixels: upright, in sRGB, 8 bits, what is transparent on white. It decodes bytes from anywhere, so it runs
 * in the engine's process only.
 */
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import sharp from 'sharp';
import type { Metadata, Sharp } from 'sharp';
import { LutraError, toErrorData } from '../../contract/errors.ts';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Rows of red, green, blue. */
  readonly rgb: Uint8Array<ArrayBuffer>;
}

/** A file, or bytes in memory with a name for messages. */
export type PictureSource = string | { readonly name: string; readonly bytes: Uint8Array };

/** A picture of more pixels than this is refused unread: a few bytes can claim to be any size. */
const mostPixels = 0x3fff ** 2;
/** Decoders of these hold the whole picture in memory. */
const mostPixelsAtOnce = 100_000_000;
/** No other kind packs more into a byte, even where nothing is to be seen: a bit each, deflated a thousandfold. */
const mostPixelsPerByte = 10_000;
const plainPixels = 1_000_000;
/** Larger ones are shrunk to this many before a model sees them; no model looks closer. */
const mostModelPixels = 40_000_000;
const mostBytes = 1 << 30;
const patienceSeconds = 60;
const headBytes = 512;

sharp.cache(false);
sharp.concurrency(1);

/** What a model sees. Fails with `bad-file`, `not-supported` or `file-access`; the message names the file. */
export async function readPicture(
  source: PictureSource,
): Promise<Pixels & { originalWidth: number; originalHeight: number }> {
  const { pipeline, width, height, name, subject } = await opened(source);
  const share = Math.sqrt(mostModelPixels / (width * height));
  const sized =
    share < 1
      ? pipeline.resize(Math.max(1, Math.floor(width * share)), Math.max(1, Math.floor(height * share)), {
          fit: 'fill',
        })
      : pipeline;
  try {
    const { data, info } = await sized
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const rgb = threeChannels(data, info.channels);
    return { width: info.width, height: info.height, rgb, originalWidth: width, originalHeight: height };
  } catch (thrown) {
    throw damaged(name, subject, thrown);
  }
}

/** A WebP no side of which is longer than `side`, and how large the whole is. */
export async function shrunkPicture(
  source: PictureSource,
  side: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; width: number; height: number }> {
  const { pipeline, width, height, name, subject } = await opened(source);
  try {
    const bytes = await pipeline
      .resize(side, side, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .webp({ quality: 82, effort: 2 })
      .toBuffer();
    return { bytes: Uint8Array.from(bytes), width, height };
  } catch (thrown) {
    throw damaged(name, subject, thrown);
  }
}

/** Rows of 8-bit values as a WebP. */
export async function encodedPixels(
  bytes: Uint8Array,
  { width, height, channels }: { width: number; height: number; channels: 3 | 4 },
  side: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const encoded = await sharp(bytes, { raw: { width, height, channels } })
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .flatten({ background: '#ffffff' })
    .webp({ quality: 82, effort: 2 })
    .toBuffer();
  return Uint8Array.from(encoded);
}

interface Opened {
  readonly pipeline: Sharp;
  /** Upright. */
  readonly width: number;
  readonly height: number;
  readonly name: string;
  readonly subject: string;
}

async function opened(source: PictureSource): Promise<Opened> {
  const isFile = typeof source === 'string';
  const name = isFile ? basename(source) : source.name;
  const subject = isFile ? source : source.name;
  const refuse = (what: string, hint = 'Remove it, or get the file again.'): LutraError =>
    new LutraError({ code: 'bad-file', message: `"${name}" ${what}.`, hint, subject });
  const bytes = isFile ? await readWhole(source, name, refuse) : source.bytes;
  if (bytes.length === 0) throw refuse('is empty');
  const found = kindOf(bytes);
  if (!found.isKnown) throw refuse(found.is, found.hint);
  const pipeline = sharp(bytes, {
    // A truncated picture is damaged; a stray byte between two markers is not.
    failOn: 'truncated',
    limitInputPixels: mostPixels,
    // One frame of what moves, one page of what has many.
    pages: 1,
    sequentialRead: true,
  })
    .timeout({ seconds: patienceSeconds })
    .autoOrient();
  let facts: Metadata;
  try {
    facts = await pipeline.metadata();
  } catch (thrown) {
    throw damaged(name, subject, thrown);
  }
  const { autoOrient } = facts;
  const pixels = autoOrient.width * autoOrient.height;
  const isWholeAtOnce = facts.format === 'webp' || facts.format === 'heif';
  if (isWholeAtOnce && pixels > mostPixelsAtOnce) throw tooLarge(name, subject, mostPixelsAtOnce);
  if (!isWholeAtOnce && pixels > plainPixels + bytes.length * mostPixelsPerByte) {
    const millions = Math.round(pixels / 1e6);
    throw refuse(`claims ${millions} million pixels, which its ${bytes.length} bytes cannot hold`);
  }
  return { pipeline, width: autoOrient.width, height: autoOrient.height, name, subject };
}

async function readWhole(
  path: string,
  name: string,
  refuse: (what: string, hint?: string) => LutraError,
): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const facts = await file.stat();
      if (!facts.isFile()) throw refuse('is no file');
      if (facts.size > mostBytes) throw refuse('is larger than 1 GiB', 'Make it smaller in another program.');
      // What is no picture is told by its first bytes alone.
      const head = new Uint8Array(Math.min(headBytes, facts.size));
      await file.read(head, 0, head.length, 0);
      if (head.length > 0 && !kindOf(head).isKnown) return head;
    } finally {
      await file.close();
    }
    return await readFile(path);
  } catch (thrown) {
    if (thrown instanceof LutraError) throw thrown;
    const { code, hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError(
      { code: code === 'internal' ? 'file-access' : code, message: `"${name}" cannot be read.`, hint, subject: path },
      { cause: thrown },
    );
  }
}

type Kind = { readonly isKnown: true } | { readonly isKnown: false; readonly is: string; readonly hint: string };

const signatures: readonly (readonly [offset: number, text: string])[] = [
  [0, '\u00ff\u00d8\u00ff'], // JPEG
  [0, '\u0089PNG\r\n\u001a\n'],
  [0, 'GIF87a'],
  [0, 'GIF89a'],
  [0, 'II*\0'], // TIFF
  [0, 'MM\0*'],
  [0, 'II+\0'], // BigTIFF
  [0, 'MM\0+'],
];
const strangers: readonly (readonly [offset: number, text: string, is: string])[] = [
  [0, '%PDF', 'is a PDF'],
  [0, 'PK\u0003\u0004', 'is a zip archive'],
  [0, 'BM', 'is a BMP picture'],
  [0, '8BPS', 'is a Photoshop file'],
  [0, '\u0000\u0000\u0001\u0000', 'is an icon'],
  [0, '\u001aE\u00df\u00a3', 'is a Matroska or WebM clip'],
];

/** By its first bytes, whatever its name says: only what is known here is given to a decoder. */
function kindOf(bytes: Uint8Array): Kind {
  const head = String.fromCharCode(...bytes.subarray(0, headBytes));
  const has = (offset: number, text: string): boolean => head.startsWith(text, offset);
  const known: Kind = { isKnown: true };
  const convert = 'Save it as JPEG, PNG, WebP, GIF, AVIF or TIFF.';
  const stranger = (is: string): Kind => ({
    isKnown: false,
    is: `${is}, which Lutra does not open as a picture`,
    hint: convert,
  });
  if (signatures.some(([offset, text]) => has(offset, text))) return known;
  if (has(0, 'RIFF') && has(8, 'WEBP')) return known;
  if (has(4, 'ftyp')) {
    // A file may be of several brands; the first says what it is, the others what it is like.
    const brands = head.slice(8, 64);
    if (/avif|avis/.test(brands)) return known;
    return /^(heic|heix|hevc|heim|heis|mif1|msf1)/.test(brands) ? stranger('is a HEIC picture') : stranger('is a clip');
  }
  const foreign = strangers.find(([offset, text]) => has(offset, text));
  if (foreign !== undefined) return stranger(foreign[2]);
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*<svg[\s>]/i.test(head)) return stranger('is an SVG drawing');
  if (/^[\t\n\r\u0020-\u007e\u0080-\u00ff]+$/.test(head)) return stranger('is a text file');
  return stranger('is of a kind that is not known');
}

function threeChannels(data: Uint8Array, channels: number): Uint8Array<ArrayBuffer> {
  if (channels === 3) return Uint8Array.from(data);
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel += 1)
    for (let channel = 0; channel < 3; channel += 1)
      rgb[pixel * 3 + channel] = data[pixel * channels + (channels > 2 ? channel : 0)] ?? 0;
  return rgb;
}

function tooLarge(name: string, subject: string, most: number): LutraError {
  return new LutraError({
    code: 'bad-file',
    message: `"${name}" has more than ${Math.round(most / 1e6)} million pixels.`,
    hint: 'Make it smaller in another program.',
    subject,
  });
}

function damaged(name: string, subject: string, thrown: unknown): LutraError {
  const said = thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown);
  if (/pixel limit/i.test(said)) return tooLarge(name, subject, mostPixels);
  return new LutraError(
    {
      code: 'bad-file',
      message: `"${name}" is damaged: ${said.replace(/\.$/, '').slice(0, 200)}.`,
      hint: 'Get the file again.',
      subject,
    },
    { cause: thrown },
  );
}
