/** Small copies of pictures and frames, kept on disk as long as there is room for them. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../media/whole-file.ts';

const usualRoomBytes = 512 * 2 ** 20;
/** Larger ones are made anew each time. */
const largestKeptSide = 640;
const sweepEvery = 200;

export type Shrunk = Uint8Array<ArrayBuffer>;

export class Thumbnails {
  readonly #folder: string;
  readonly #roomBytes: number;
  readonly #making = new Map<string, Promise<Shrunk>>();
  #writtenSinceSweep = 0;

  constructor(folder: string, roomBytes = usualRoomBytes) {
    this.#folder = folder;
    this.#roomBytes = roomBytes;
  }

  /** `key` names the very bytes that it is a copy of. Whoever asks for what is being made gets the same. */
  get(key: string, side: number, make: () => Promise<Shrunk>): Promise<Shrunk> {
    if (side > largestKeptSide) return make();
    const path = this.#pathOf(key, side);
    const making = this.#making.get(path);
    if (making !== undefined) return making;
    const work = this.#findOrMake(path, make).finally(() => this.#making.delete(path));
    this.#making.set(path, work);
    return work;
  }

  /** Null where there is none yet. */
  async find(key: string, side: number): Promise<Shrunk | null> {
    return readFound(this.#pathOf(key, side));
  }

  #pathOf(key: string, side: number): string {
    return join(this.#folder, `${createHash('sha256').update(`${key}\0${side}`).digest('hex').slice(0, 40)}.webp`);
  }

  async #findOrMake(path: string, make: () => Promise<Shrunk>): Promise<Shrunk> {
    const found = await readFound(path);
    if (found !== null) return found;
    const bytes = await make();
    // A full disk costs time, not the picture.
    await this.#keep(path, bytes).catch(() => undefined);
    return bytes;
  }

  async #keep(path: string, bytes: Shrunk): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeWhole(path, bytes);
    this.#writtenSinceSweep += 1;
    if (this.#writtenSinceSweep < sweepEvery) return;
    this.#writtenSinceSweep = 0;
    await this.sweep();
  }

  /** Removes those that were not asked for the longest until the rest has room. */
  async sweep(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        const facts = await stat(path).catch(() => null);
        return { path, size: facts?.size ?? 0, usedAt: facts?.mtimeMs ?? 0 };
      }),
    );
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= this.#roomBytes) return;
      await rm(path, { force: true });
      total -= size;
    }
  }
}

async function readFound(path: string): Promise<Shrunk | null> {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null || bytes.length === 0) return null;
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
  return Uint8Array.from(bytes);
}
