/**
 * Frames as WebSocket messages. A frame without bytes is JSON text. One with bytes is binary:
 * `u32 header length | header JSON | blob | blob …`, little-endian, where the header is
 * `{ frame, lengths }` and each `Uint8Array` in the frame is replaced by `{ "$bytes": index }`.
 */
import { z } from 'zod';

const headerSchema = z.object({
  frame: z.unknown(),
  lengths: z.array(z.number().int().nonnegative()).max(10_000),
});

/** Deeper frames are refused: nothing in the contract nests like that. */
const maximumDepth = 64;

export function encodeFrame(frame: unknown): string | Uint8Array<ArrayBuffer> {
  const blobs: Uint8Array[] = [];
  // The raw value is read from its holder: a Node Buffer's own toJSON has replaced `value` by then.
  const json = JSON.stringify(frame, function (this: Record<string, unknown>, key, value: unknown) {
    const raw = this[key];
    if (!(raw instanceof Uint8Array)) return value;
    blobs.push(raw);
    return { $bytes: blobs.length - 1 };
  });
  if (blobs.length === 0) return json;
  const lengths = blobs.map((blob) => blob.byteLength);
  const header = new TextEncoder().encode(`{"frame":${json},"lengths":[${lengths.join(',')}]}`);
  const total = lengths.reduce((sum, length) => sum + length, 4 + header.byteLength);
  const message = new Uint8Array(total);
  new DataView(message.buffer).setUint32(0, header.byteLength, true);
  message.set(header, 4);
  let at = 4 + header.byteLength;
  for (const blob of blobs) {
    message.set(blob, at);
    at += blob.byteLength;
  }
  return message;
}

/** Throws a `TypeError` or `SyntaxError` on a malformed message. */
export function decodeFrame(message: string | ArrayBuffer | Uint8Array): unknown {
  if (typeof message === 'string') return JSON.parse(message);
  const bytes = message instanceof Uint8Array ? message : new Uint8Array(message);
  if (bytes.byteLength < 4) throw new TypeError('The message is shorter than its header length.');
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (headerLength > bytes.byteLength - 4) throw new TypeError('The header is longer than the message.');
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(4, 4 + headerLength));
  const header = headerSchema.parse(JSON.parse(text));
  const blobs: Uint8Array[] = [];
  let at = 4 + headerLength;
  for (const length of header.lengths) {
    if (length > bytes.byteLength - at) throw new TypeError('A blob is longer than the message.');
    blobs.push(bytes.slice(at, at + length));
    at += length;
  }
  return insertBlobs(header.frame, blobs, 0);
}

function insertBlobs(value: unknown, blobs: readonly Uint8Array[], depth: number): unknown {
  if (depth > maximumDepth) throw new TypeError('The frame is nested too deeply.');
  if (Array.isArray(value)) return value.map((item) => insertBlobs(item, blobs, depth + 1));
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && first[0] === '$bytes') {
    const blob = typeof first[1] === 'number' ? blobs[first[1]] : undefined;
    if (blob === undefined) throw new TypeError('The frame names a blob that is not there.');
    return blob;
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, insertBlobs(item, blobs, depth + 1)]));
}
