/** A dropped file, written as it arrives: first under a temporary name, then under its own. */
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LutraError, toErrorData } from '../../contract/errors.ts';

const longestNameBytes = 200;
const reservedOnWindows = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** A name without folders, control characters or anything that a file system reads as more than a name. */
export function safeFileName(wanted: string): string {
  const last = wanted.normalize('NFC').split(/[/\\]/).at(-1) ?? '';
  const plain = last
    .replaceAll(/[\u0000-\u001f\u007f<>:"|?*]/g, '')
    .replace(/^[\s.]+/, '')
    .replace(/[\s.]+$/, '');
  const named = plain === '' || reservedOnWindows.test(plain) ? `file ${plain}`.trim() : plain;
  const extension = extname(named).slice(0, 20);
  let stem = named.slice(0, named.length - extname(named).length);
  while (Buffer.byteLength(stem + extension) > longestNameBytes) stem = [...stem].slice(0, -1).join('');
  return stem + extension;
}

/** Writes `stream` into `folder` and returns the path. A broken or cancelled one leaves nothing behind. */
export async function receiveFile(
  folder: string,
  wantedName: string,
  stream: Readable,
  expectedBytes: number | null,
  signal: AbortSignal,
): Promise<string> {
  const name = safeFileName(wantedName);
  await mkdir(folder, { recursive: true });
  await requireSpace(folder, name, expectedBytes);
  const unfinished = join(folder, `.${randomUUID()}.part`);
  try {
    await pipeline(stream, createWriteStream(unfinished, { flags: 'wx', mode: 0o600 }), { signal });
    const { size } = await stat(unfinished);
    if (expectedBytes !== null && size !== expectedBytes) {
      throw new LutraError({
        code: 'disconnected',
        message: `"${name}" arrived cut: ${size} of ${expectedBytes} bytes.`,
        hint: 'Drop the file again.',
        subject: name,
      });
    }
    return await giveName(unfinished, folder, name);
  } catch (thrown) {
    const error = toErrorData(thrown);
    if (error.code === 'disk-full') throw diskFull(folder, name, thrown);
    throw thrown;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function requireSpace(folder: string, name: string, expectedBytes: number | null): Promise<void> {
  if (expectedBytes === null) return;
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < expectedBytes) throw diskFull(folder, name);
}

function diskFull(folder: string, name: string, cause?: unknown): LutraError {
  return new LutraError(
    {
      code: 'disk-full',
      message: `There is not enough room in ${folder} for "${name}".`,
      hint: 'Free some space there, or add the file by its path instead: it is then not copied.',
      subject: name,
    },
    { cause },
  );
}

/** Takes `name`, or `name (2)`, … where it is taken. Never replaces a file. */
async function giveName(unfinished: string, folder: string, name: string): Promise<string> {
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  for (let copy = 1; ; copy += 1) {
    const path = join(folder, copy === 1 ? name : `${stem} (${copy})${extension}`);
    try {
      await link(unfinished, path);
      return path;
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'EEXIST') continue;
      // File systems without hard links (FAT, some network disks).
      if ((await stat(path).catch(() => null)) !== null) continue;
      await rename(unfinished, path);
      return path;
    }
  }
}
