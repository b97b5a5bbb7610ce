/** Reads a file from its beginning, little-endian, never past its end. */
import type { FileHandle } from 'node:fs/promises';
import { badFile } from './bad-file.ts';

const pieceBytes = 1 << 20;

export class ByteReader {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly sizeBytes: number;
  #piece: Buffer = Buffer.alloc(0);
  #pieceAt = 0;
  #at = 0;

  constructor(file: FileHandle, path: string, sizeBytes: number) {
    this.#file = file;
    this.#path = path;
    this.sizeBytes = sizeBytes;
  }

  get position(): number {
    return this.#at;
  }

  /** `what` names the thing for the error message. */
  async take(byteLength: number, what: string): Promise<Buffer> {
    if (byteLength > this.sizeBytes - this.#at) {
      throw badFile(this.#path, `it ends in the middle of ${what} (at byte ${this.sizeBytes})`);
    }
    const from = this.#at - this.#pieceAt;
    if (from < 0 || from + byteLength > this.#piece.length) await this.#load(Math.max(byteLength, pieceBytes));
    const start = this.#at - this.#pieceAt;
    this.#at += byteLength;
    return this.#piece.subarray(start, start + byteLength);
  }

  /** Moves on without keeping what is skipped. */
  skip(byteLength: number, what: string): void {
    if (byteLength > this.sizeBytes - this.#at) {
      throw badFile(this.#path, `it ends in the middle of ${what} (at byte ${this.sizeBytes})`);
    }
    this.#at += byteLength;
  }

  async #load(byteLength: number): Promise<void> {
    const buffer = Buffer.alloc(Math.min(byteLength, this.sizeBytes - this.#at));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#at);
    if (bytesRead < buffer.length) throw badFile(this.#path, 'it changed while it was read');
    this.#piece = buffer;
    this.#pieceAt = this.#at;
  }
}
