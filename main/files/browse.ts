/** Lists folders of the host's disk, so that a person at a browser can walk to a model. */
import { readdir, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { z } from 'zod';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { folderEntrySchema } from '../../contract/files.ts';

type FolderEntry = z.infer<typeof folderEntrySchema>;

export interface FolderListing {
  readonly path: string;
  readonly parent: string | null;
  readonly entries: FolderEntry[];
}

/** A folder with more entries than this is cut; the path field still reaches the rest. */
const maximumEntries = 5000;
const modelMarks = new Set(['config.json', 'model_index.json', 'model_config.json']);

/** Folders first, then files, each by name. Hidden ones are left out. */
export async function browseFolder(path: string): Promise<FolderListing> {
  if (!isAbsolute(path)) {
    throw new LutraError({
      code: 'bad-input',
      message: `"${path}" is no whole path.`,
      hint: 'Give the path from the root of the disk, or beginning with ~.',
      subject: 'path',
    });
  }
  const folder = resolve(path);
  let found: Dirent[];
  try {
    found = await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    const isFile = (thrown as NodeJS.ErrnoException).code === 'ENOTDIR';
    const { hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError(
      {
        code: 'file-access',
        message: `The folder "${folder}" cannot be read.`,
        hint: isFile ? 'It is a file.' : hint,
        subject: folder,
      },
      { cause: thrown },
    );
  }
  const visible = found.filter(({ name }) => !name.startsWith('.')).slice(0, maximumEntries);
  const entries = await Promise.all(visible.map((entry) => describe(folder, entry)));
  const parent = dirname(folder);
  return {
    path: folder,
    parent: parent === folder ? null : parent,
    entries: entries
      .filter((entry) => entry !== null)
      .sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || a.name.localeCompare(b.name)),
  };
}

async function describe(folder: string, entry: Dirent): Promise<FolderEntry | null> {
  const path = join(folder, entry.name);
  const isFolder = entry.isSymbolicLink()
    ? ((await stat(path).catch(() => null))?.isDirectory() ?? null)
    : entry.isDirectory();
  if (isFolder === null || (!isFolder && !entry.isFile() && !entry.isSymbolicLink())) return null;
  return {
    name: entry.name,
    path,
    isFolder,
    looksLikeModel: isFolder ? await isModelFolder(path) : isModelFile(entry.name),
  };
}

function isModelFile(name: string): boolean {
  return /\.(gguf|safetensors)$/i.test(name);
}

async function isModelFolder(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => []);
  return (
    names.some((name) => modelMarks.has(name)) &&
    names.some((name) => name.endsWith('.safetensors') || name === 'model_index.json')
  );
}
