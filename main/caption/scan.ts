/** Finds pictures and clips in what was dropped or chosen. */
import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import type { CaptionKind } from '../../contract/caption.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { NewCaption } from './rows.ts';

export type Sidecars = 'ignore' | 'load' | 'skip';

export interface ScanRequest {
  readonly path: string;
  readonly isFolder: boolean;
  /** Where a single file lay in what was dropped. */
  readonly folder: string;
  readonly recursive: boolean;
  readonly sidecars: Sidecars;
}

export interface Scanned {
  readonly items: NewCaption[];
  /** With a sidecar that was asked to skip. */
  skipped: number;
  /** Neither picture nor clip. */
  ignored: number;
  readonly problems: ErrorData[];
}

const pictureEndings = new Set(['.jpg', '.jpeg', '.jfif', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff']);
const clipEndings = new Set(['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts']);
const deepest = 64;
const mostSidecarBytes = 1_000_000;

/** By its ending; null for what is neither. */
export function kindOf(name: string): CaptionKind | null {
  const ending = extname(name).toLowerCase();
  return pictureEndings.has(ending) ? 'picture' : clipEndings.has(ending) ? 'clip' : null;
}

/** The text file that goes with a picture or clip: the same name, another ending. */
export const sidecarOf = (path: string, ending = '.txt'): string =>
  path.slice(0, path.length - extname(path).length) + ending;

export async function scan(request: ScanRequest): Promise<Scanned> {
  const found: Scanned = { items: [], skipped: 0, ignored: 0, problems: [] };
  if (request.isFolder) {
    await walk(request.path, { ...request, root: request.path, seen: new Set([request.path]), depth: 0 }, found);
  } else {
    const kind = kindOf(request.path);
    if (kind === null) found.ignored += 1;
    else await take(request.path, kind, plainFolder(request.folder), request.sidecars, found);
  }
  return found;
}

/** A page's word for a folder, as it may become part of a path: nothing in it leads upwards. */
function plainFolder(folder: string): string {
  return folder
    .split(/[/\\]/)
    .map((part) => part.replaceAll(/[\p{Cc}<>:"|?*]/gu, '').trim())
    .filter((part) => part !== '' && !/^\.+$/.test(part))
    .join('/');
}

interface Walk {
  readonly root: string;
  readonly recursive: boolean;
  readonly sidecars: Sidecars;
  /** Real paths of folders: a link to a folder above would never end. */
  readonly seen: Set<string>;
  readonly depth: number;
}

async function walk(folder: string, options: Walk, found: Scanned): Promise<void> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    found.problems.push(cannotRead(folder, thrown));
    return;
  }
  // As a person counts: "frame 9" before "frame 10".
  entries.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const shown = relative(options.root, folder).split(sep).join('/');
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    const isFolder = entry.isSymbolicLink()
      ? (await stat(path).catch(() => null))?.isDirectory() === true
      : entry.isDirectory();
    if (!isFolder) {
      const kind = kindOf(entry.name);
      if (kind === null) found.ignored += extname(entry.name).toLowerCase() === '.txt' ? 0 : 1;
      else await take(path, kind, shown, options.sidecars, found);
    } else if (options.recursive && options.depth < deepest) {
      const real = await realpath(path).catch(() => path);
      if (options.seen.has(real)) continue;
      options.seen.add(real);
      await walk(path, { ...options, depth: options.depth + 1 }, found);
    }
  }
}

async function take(
  path: string,
  kind: CaptionKind,
  folder: string,
  sidecars: Sidecars,
  found: Scanned,
): Promise<void> {
  const text = await sidecarText(path);
  if (text !== null && sidecars === 'skip') {
    found.skipped += 1;
    return;
  }
  const isCaption = text !== null && text !== '' && sidecars === 'load';
  found.items.push({ path, folder, name: basename(path), kind, tags: text ?? '', text: isCaption ? text : null });
}

/** Null where there is none. */
async function sidecarText(path: string): Promise<string | null> {
  const sidecar = sidecarOf(path);
  const facts = await stat(sidecar).catch(() => null);
  if (facts === null || !facts.isFile() || facts.size > mostSidecarBytes) return null;
  const text = await readFile(sidecar, 'utf8').catch(() => null);
  return text === null ? null : text.replace(/^\uFEFF/, '').trim();
}

function cannotRead(folder: string, thrown: unknown): ErrorData {
  const { hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
  const name = basename(folder) || dirname(folder);
  return new LutraError({
    code: 'file-access',
    message: `The folder "${name}" cannot be read.`,
    hint,
    subject: folder,
  }).toData();
}
