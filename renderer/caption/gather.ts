/** Dropped or chosen files and folders as a flat list; folders are walked here, since a browser gives no paths. */

/** A file, and where it lay in what was dropped: `holiday/beach`; empty at the top. */
export interface Gathered {
  readonly file: File;
  readonly folder: string;
}

const pictures = /\.(jpe?g|png|webp|gif|avif|tiff?)$/i;
const clips = /\.(mp4|m4v|mov|webm|mkv)$/i;

export function isCaptionable({ name }: { readonly name: string }): boolean {
  return pictures.test(name) || clips.test(name);
}

/** For the file dialog. */
export const acceptedEndings = '.jpg,.jpeg,.png,.webp,.gif,.avif,.tif,.tiff,.mp4,.m4v,.mov,.webm,.mkv';

/** Must be called while the drop event is handled: the browser forgets its items afterwards. */
export function droppedEntries(items: readonly DataTransferItem[]): FileSystemEntry[] {
  return items.map((item) => item.webkitGetAsEntry?.() ?? null).filter((entry) => entry !== null);
}

/** Every picture and clip of the entries. Hidden files and folders are left out. */
export async function gather(entries: readonly FileSystemEntry[]): Promise<Gathered[]> {
  const found: Gathered[] = [];
  const walk = async (entry: FileSystemEntry, folder: string): Promise<void> => {
    if (entry.name.startsWith('.')) return;
    if (entry.isDirectory) {
      const inside = folder === '' ? entry.name : `${folder}/${entry.name}`;
      for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) await walk(child, inside);
      return;
    }
    if (!isCaptionable(entry)) return;
    found.push({ file: await fileOf(entry as FileSystemFileEntry), folder });
  };
  for (const entry of entries) await walk(entry, '');
  return found;
}

/** Whether a folder is for captions rather than a model: by what lies in it, and in the folders right in it. */
export async function holdsPictures(entry: FileSystemEntry): Promise<boolean> {
  const children = await childrenOf(entry as FileSystemDirectoryEntry);
  if (children.some(({ name }) => /\.(safetensors|gguf)$/i.test(name))) return false;
  if (children.some((child) => child.isFile && isCaptionable(child))) return true;
  for (const child of children) {
    if (!child.isDirectory) continue;
    const inside = await childrenOf(child as FileSystemDirectoryEntry);
    if (inside.some((one) => one.isFile && isCaptionable(one))) return true;
  }
  return false;
}

const byName = (a: string, b: string): number => a.localeCompare(b, undefined, { numeric: true });

/** What `<input webkitdirectory>` gave, in no order: the path of each file is inside it. */
export function gatherChosen(files: readonly File[]): Gathered[] {
  const sorted = files.toSorted((a, b) => byName(a.webkitRelativePath, b.webkitRelativePath));
  return sorted.flatMap((file): Gathered[] => {
    const parts = file.webkitRelativePath.split('/').slice(0, -1);
    const isHidden = [...parts, file.name].some((part) => part.startsWith('.'));
    return isHidden || !isCaptionable(file) ? [] : [{ file, folder: parts.join('/') }];
  });
}

/** `readEntries` gives a hundred at a time, and nothing at the end. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return children.sort((a, b) => byName(a.name, b.name));
    children.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
