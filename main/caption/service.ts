/** Captions of pictures and clips: the list with its edits in SQLite; batches run in main, whatever windows do. */
import type Database from 'better-sqlite3';
import type { z } from 'zod';
import type { CaptionModelInfo, captionContract } from '../../contract/caption.ts';
import { LutraError } from '../../contract/errors.ts';
import type { Grant } from '../../contract/files.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Model } from '../../contract/models.ts';
import type { Settings } from '../../contract/settings.ts';
import type { Engine, Priority } from '../engine/engine.ts';
import { priorities } from '../engine/engine.ts';
import type { JobStarter } from '../jobs/runner.ts';
import { askAbout } from './ask.ts';
import { CaptionBatches, captionJobKind } from './batch.ts';
import type { BatchInput, PreparedBatch } from './batch.ts';
import { captionOf, infoOf } from './captioner.ts';
import type { CaptionTools } from './captioner.ts';
import { ClipDesk } from './clips.ts';
import { captionBytes, writeCaptions } from './export.ts';
import type { ExportItem } from './export.ts';
import { CaptionList } from './list.ts';
import { CaptionPictures, readBytes } from './pictures.ts';
import { itemOf } from './rows.ts';

export interface CaptionServiceOptions {
  readonly db: Database.Database;
  readonly engine: Engine;
  readonly models: { get(modelId: string): Model; pathOf(modelId: string): string };
  readonly files: {
    resolve(grantId: string): { readonly path: string; readonly isFolder: boolean };
    grant(path: string): Promise<Grant>;
  };
  readonly jobs: JobStarter;
  readonly settings: { get(): Settings };
  /** Where small copies of pictures are kept. */
  readonly thumbnailsFolder: string;
}

type StartRequest = z.output<(typeof captionContract)['start']['input']>;

export class CaptionService {
  readonly handlers: StudioHandlers['caption'];
  readonly #options: CaptionServiceOptions;
  readonly #list: CaptionList;
  readonly #desk: ClipDesk;
  readonly #pictures: CaptionPictures;

  constructor(options: CaptionServiceOptions) {
    this.#options = options;
    const list = new CaptionList(options.db);
    const desk = new ClipDesk(list.watchers);
    const pictures = new CaptionPictures({
      engine: options.engine,
      list,
      folder: options.thumbnailsFolder,
      openClip: (file, signal) => desk.open(file, signal),
    });
    this.#list = list;
    this.#desk = desk;
    this.#pictures = pictures;
    const batches = new CaptionBatches({ list, prepare: (input) => this.#prepare(input) });
    options.jobs.register(batches);
    this.handlers = {
      describe: ({ modelId }) => this.#describe(modelId),
      add: ({ grants, recursive, sidecars }) =>
        list.add(
          grants.map(({ grantId, folder }) => ({ ...options.files.resolve(grantId), folder, recursive, sidecars })),
        ),
      list: ({ filter, offset, limit }) => list.list(filter, offset, limit),
      ids: ({ filter }) => ({ ids: list.rows.ids(filter) }),
      get: ({ itemId }) => itemOf(list.row(itemId)),
      summary: () => list.summary(),
      picture: ({ itemId, side, seconds }, { signal }) => pictures.picture(list.row(itemId), side, seconds, signal),
      read: ({ itemId, offset, length }) => readBytes(list.row(itemId), offset, length),
      open: ({ itemId }) => options.files.grant(list.row(itemId).path),
      watch: ({ canDecodeClips }, { signal }) => list.watchers.watch(canDecodeClips, signal),
      giveFacts: ({ requestId, facts }) => done(desk.giveFacts(requestId, facts)),
      giveFrames: ({ requestId, frames, isLast }) => done(desk.giveFrames(requestId, frames, isLast)),
      failClip: ({ requestId, error }) => done(desk.fail(requestId, error)),
      start: (request) => this.#start(request),
      goOn: ({ jobId }) => done(batches.goOn(jobId)),
      edit: ({ itemId, segment, text }) => list.edit(itemId, segment, text),
      lock: ({ itemIds, isLocked }) => done(list.lock(itemIds, isLocked)),
      clear: ({ itemIds }) => done(list.clear(itemIds)),
      remove: ({ itemIds }) => done(list.remove(itemIds)),
      replace: ({ itemIds, apply, ...request }) => list.replace(request, itemIds, apply),
      undo: () => ({ isDone: list.undo() }),
      redo: () => ({ isDone: list.redo() }),
      ask: (request, { signal }) =>
        askAbout(list.row(request.itemId), request, () => this.#tools(request.modelId, priorities.interactive), signal),
      exportFiles: ({ format, itemIds, folderGrantId, existing }) =>
        writeCaptions(this.#exported(itemIds), {
          format,
          existing,
          folder: folderGrantId === null ? null : options.files.resolve(folderGrantId).path,
        }),
      exportBytes: ({ format, itemIds }) => captionBytes(this.#exported(itemIds), format),
    };
  }

  async #describe(modelId: string): Promise<CaptionModelInfo> {
    this.#requireCaptions(modelId);
    return infoOf(await this.#options.engine.describeVision(this.#options.models.pathOf(modelId)));
  }

  async #start({ modelId, settings, itemIds, which, previewFirst }: StartRequest): Promise<{
    jobId: string;
    items: number;
  }> {
    const model = this.#requireCaptions(modelId);
    // What is wrong with the model is said at once, not with every picture.
    await this.#describe(modelId);
    const states: ReadonlySet<string> = new Set(
      which === 'all' ? ['waiting', 'failed', 'done'] : ['waiting', 'failed'],
    );
    const rows = this.#list.rows.many(itemIds).filter((row) => row.is_locked === 0 && states.has(row.state));
    if (rows.length === 0) {
      throw new LutraError({
        code: 'bad-input',
        message: 'There is nothing to caption.',
        hint: 'Add pictures or clips, or choose to caption those again that have a caption. Edited and locked ones are left alone.',
      });
    }
    const ids = rows.map(({ id }) => id);
    const title = rows.length === 1 ? (rows[0]?.name ?? model.name) : `${rows.length} × ${model.name}`;
    const input: BatchInput = { modelId, modelName: model.name, settings, items: rows.length, previewFirst };
    const jobId = this.#options.jobs.start(captionJobKind, title, input);
    const again = rows.filter(({ state }) => state === 'done');
    this.#list.record('again', again, () => undefined);
    this.#list.rows.enqueue(ids, jobId);
    this.#list.tellItems(ids);
    return { jobId, items: rows.length };
  }

  async #prepare({ modelId, settings }: BatchInput): Promise<PreparedBatch> {
    const tools = await this.#tools(modelId, priorities.batch);
    return {
      modelPath: tools.model.path,
      caption: (row, signal) => captionOf({ ...row, itemId: row.id }, settings, tools, signal),
    };
  }

  async #tools(modelId: string, priority: Priority): Promise<CaptionTools> {
    const { engine, models, settings } = this.#options;
    const { name } = this.#requireCaptions(modelId);
    return {
      engine,
      model: { path: models.pathOf(modelId), name },
      info: await this.#describe(modelId),
      threads: settings.get().threads,
      priority,
      openClip: (file, signal) => this.#desk.open(file, signal),
      // Only for show: the caption does not wait for it, nor fail with it.
      keepFrame: ({ path }, frame) => void this.#pictures.keepFrame(path, frame).catch(() => undefined),
    };
  }

  #exported(itemIds: readonly string[] | null): ExportItem[] {
    return this.#list.rows.many(itemIds).map((row) => ({ ...itemOf(row), path: row.path }));
  }

  #requireCaptions(modelId: string): Model {
    const model = this.#options.models.get(modelId);
    if (model.capabilities.includes('caption') && model.status === 'ready') return model;
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

/** Of a call that answers with nothing but that it was done. */
const done = (_nothing: void): Record<string, never> => ({});
