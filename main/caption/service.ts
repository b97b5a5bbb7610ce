/** Captions of pictures and clips: the list with its edits in SQLite; batches run in main, whatever windows do. */
import type Database from 'better-sqlite3';
import { open } from 'node:fs/promises';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { Grant } from '../../contract/files.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Model } from '../../contract/models.ts';
import { captionBytes, writeCaptions } from './export.ts';
import type { ExportItem } from './export.ts';
import { CaptionList } from './list.ts';
import { itemOf } from './rows.ts';
import type { CaptionRow } from './rows.ts';

export interface CaptionServiceOptions {
  readonly db: Database.Database;
  readonly models: { get(modelId: string): Model; pathOf(modelId: string): string };
  readonly files: {
    resolve(grantId: string): { readonly path: string; readonly isFolder: boolean };
    grant(path: string): Promise<Grant>;
  };
}

export class CaptionService {
  readonly handlers: StudioHandlers['caption'];
  readonly #options: CaptionServiceOptions;
  readonly #list: CaptionList;

  constructor(options: CaptionServiceOptions) {
    this.#options = options;
    const list = new CaptionList(options.db);
    this.#list = list;
    this.handlers = {
      describe: ({ modelId }) => this.#model(modelId),
      add: ({ grants, recursive, sidecars }) =>
        list.add(
          grants.map(({ grantId, folder }) => ({ ...options.files.resolve(grantId), folder, recursive, sidecars })),
        ),
      list: ({ filter, offset, limit }) => list.list(filter, offset, limit),
      ids: ({ filter }) => ({ ids: list.rows.ids(filter) }),
      get: ({ itemId }) => itemOf(list.row(itemId)),
      summary: () => list.summary(),
      picture: ({ itemId }) => {
        list.row(itemId);
        return null;
      },
      read: ({ itemId, offset, length }) => readBytes(list.row(itemId), offset, length),
      open: ({ itemId }) => options.files.grant(list.row(itemId).path),
      watch: ({ canDecodeClips }, { signal }) =>
        list.watchers.watch({ type: 'summary', summary: list.summary() }, canDecodeClips, signal),
      giveFacts: () => unasked(),
      giveFrames: () => unasked(),
      failClip: () => unasked(),
      start: ({ modelId }) => this.#model(modelId),
      goOn: () => {
        throw new LutraError({ code: 'conflict', message: 'No batch waits for that.' });
      },
      edit: ({ itemId, segment, text }) => list.edit(itemId, segment, text),
      lock: ({ itemIds, isLocked }) => {
        list.lock(itemIds, isLocked);
        return {};
      },
      clear: ({ itemIds }) => {
        list.clear(itemIds);
        return {};
      },
      remove: ({ itemIds }) => {
        list.remove(itemIds);
        return {};
      },
      replace: ({ itemIds, apply, ...request }) => list.replace(request, itemIds, apply),
      undo: () => ({ isDone: list.undo() }),
      redo: () => ({ isDone: list.redo() }),
      ask: ({ modelId }) => this.#model(modelId),
      exportFiles: ({ format, itemIds, folderGrantId, existing }) =>
        writeCaptions(this.#exported(itemIds), {
          format,
          existing,
          folder: folderGrantId === null ? null : options.files.resolve(folderGrantId).path,
        }),
      exportBytes: ({ format, itemIds }) => captionBytes(this.#exported(itemIds), format),
    };
  }

  #exported(itemIds: readonly string[] | null): ExportItem[] {
    return this.#list.rows.many(itemIds).map((row) => ({ ...itemOf(row), path: row.path }));
  }

  /** Fails where it captions nothing. */
  #model(modelId: string): never {
    const model = this.#options.models.get(modelId);
    throw new LutraError(
      model.problem ?? {
        code: 'not-supported',
        message: `${model.name} captions nothing.`,
        hint: 'Choose a model that looks at pictures.',
        subject: model.name,
      },
    );
  }
}

/** Answers of a page to what it was not asked, or not any more. */
const unasked = (): Record<string, never> => ({});

async function readBytes(
  { path, name }: CaptionRow,
  offset: number,
  length: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; sizeBytes: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const buffer = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      return { bytes: buffer.subarray(0, bytesRead), sizeBytes: size };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    throw cannotOpen(name, path, thrown);
  }
}

export function cannotOpen(name: string, path: string, thrown: unknown): LutraError {
  const { code, hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
  return new LutraError(
    {
      code: code === 'internal' ? 'file-access' : code,
      message: `"${name}" cannot be opened.`,
      hint,
      subject: path,
    },
    { cause: thrown },
  );
}
