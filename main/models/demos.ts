/** The demo models that come with the studio, each a folder as any loader opens it. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** What is beside the models and is none. */
const samples = 'samples';

/** Paths of all demo models, by name; none where the folder is not there. */
export async function demoFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && entry.name !== samples)
    .map(({ name }) => join(folder, name))
    .toSorted();
}

/** What a demo model is known by from one start to the next. */
export function nameOf(path: string): string {
  return basename(path);
}
