/** Writes captions beside their files, into a folder, or into one piece of bytes for the page. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import type { CaptionFormat } from '../../contract/caption.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { writeWhole } from '../media/whole-file.ts';
import { csvTable, isEmptyFor, isTable, jsonLines, mimeTypes, sidecarText } from './formats.ts';
import type { Exported } from './formats.ts';

export interface ExportItem extends Exported {
  readonly path: string;
}

export interface ExportOutcome {
  written: number;
  skipped: number;
  empty: number;
  readonly problems: ErrorData[];
}

/** Where an item's file goes, relative to the folder that is written to. Two of one stem keep their endings. */
function namesOf<Item extends ExportItem>(items: readonly Item[], ending: string): Map<Item, string> {
  const taken = new Set<string>();
  const names = new Map<Item, string>();
  for (const item of items) {
    const stem = item.name.slice(0, item.name.length - extname(item.name).length);
    const inFolder = (name: string): string => (item.folder === '' ? name : `${item.folder}/${name}`);
    let name = inFolder(`${stem}${ending}`);
    for (let copy = 1; taken.has(name.toLowerCase()); copy += 1)
      name = inFolder(copy === 1 ? `${item.name}${ending}` : `${item.name}-${copy}${ending}`);
    taken.add(name.toLowerCase());
    names.set(item, name);
  }
  return names;
}

const shownPath = ({ folder, name }: Exported): string => (folder === '' ? name : `${folder}/${name}`);
const tableText = (format: 'jsonl' | 'csv', items: readonly Exported[]): string =>
  format === 'jsonl' ? jsonLines(items, shownPath) : csvTable(items, shownPath);

export interface WriteOptions {
  readonly format: CaptionFormat;
  /** Null: beside each file. */
  readonly folder: string | null;
  readonly existing: 'skip' | 'replace';
}

/** Where each item's own file goes; null folder: beside it. Two of one stem in one folder keep their endings. */
export function sidecarPaths<Item extends ExportItem>(
  items: readonly Item[],
  ending: string,
  folder: string | null,
): Map<Item, string> {
  const paths = new Map<Item, string>();
  if (folder !== null) {
    for (const [item, name] of namesOf(items, ending)) paths.set(item, join(folder, name));
    return paths;
  }
  for (const [beside, group] of Map.groupBy(items, ({ path }) => dirname(path))) {
    const flat = new Map(group.map((item) => [{ ...item, folder: '' }, item]));
    for (const [copy, name] of namesOf([...flat.keys()], ending)) {
      const item = flat.get(copy);
      if (item !== undefined) paths.set(item, join(beside, name));
    }
  }
  return paths;
}

/** One item's own file, whole or not there. Fails with `file-access` or `disk-full`. */
export async function writeSidecar(path: string, format: 'txt' | 'srt' | 'vtt', item: Exported): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeWhole(path, strToU8(sidecarText(format, item)));
}

/** Each file is whole or not there. What fails is told, and the others go on. */
export async function writeCaptions(
  items: readonly ExportItem[],
  { format, folder, existing }: WriteOptions,
): Promise<ExportOutcome> {
  const outcome: ExportOutcome = { written: 0, skipped: 0, empty: 0, problems: [] };
  const wanted = items.filter((item) => !isEmptyFor(format, item));
  outcome.empty = items.length - wanted.length;
  const put = async (path: string, text: string): Promise<void> => {
    if (existing === 'skip' && (await stat(path).catch(() => null)) !== null) {
      outcome.skipped += 1;
      return;
    }
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeWhole(path, strToU8(text));
      outcome.written += 1;
    } catch (thrown) {
      outcome.problems.push({ ...toErrorData(thrown), subject: path });
    }
  };
  if (isTable(format)) {
    if (wanted.length > 0)
      await put(join(folder ?? dirname(wanted[0]?.path ?? '.'), `captions.${format}`), tableText(format, wanted));
    return outcome;
  }
  // Names are given to all, so that one without a caption does not lend its own to another.
  for (const [item, path] of sidecarPaths(items, `.${format}`, folder))
    if (!isEmptyFor(format, item)) await put(path, sidecarText(format, item));
  return outcome;
}

/** One file where there is one, else a zip. */
export function captionBytes(
  items: readonly ExportItem[],
  format: CaptionFormat,
): { name: string; type: string; bytes: Uint8Array<ArrayBuffer>; written: number } {
  const wanted = items.filter((item) => !isEmptyFor(format, item));
  if (isTable(format)) {
    const bytes = strToU8(tableText(format, wanted));
    return { name: `captions.${format}`, type: mimeTypes[format], bytes, written: wanted.length };
  }
  const files = [...namesOf(items, `.${format}`)]
    .filter(([item]) => !isEmptyFor(format, item))
    .map(([item, name]) => [name, strToU8(sidecarText(format, item))] as const);
  const [only] = files;
  if (files.length === 1 && only !== undefined)
    return { name: only[0].split('/').at(-1) ?? only[0], type: mimeTypes[format], bytes: only[1], written: 1 };
  return {
    name: `captions-${format}.zip`,
    type: 'application/zip',
    bytes: zipSync(Object.fromEntries(files)),
    written: files.length,
  };
}
