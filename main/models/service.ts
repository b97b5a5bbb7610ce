/** The models the person pointed to. Their files stay where they are; only the engine process opens them. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Settings } from '../../contract/settings.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Fit, Model, QuantizeOptions } from '../../contract/models.ts';
import type { Engine } from '../engine/engine.ts';
import type { Inspection } from '../engine/protocol.ts';
import type { EventBus } from '../events.ts';
import type { JobStarter } from '../jobs/runner.ts';
import { demoFolders, nameOf } from './demos.ts';
import { canQuantize, chooseDestination, quantizeRunner, requestOf, requireQuantizable } from './quantize.ts';
import { ModelRows } from './rows.ts';
import type { ModelRow } from './rows.ts';
import { scanRunner, verifyRunner } from './runners.ts';

export interface ModelsServiceOptions {
  readonly db: Database.Database;
  readonly engine: Engine;
  readonly files: { resolve(grantId: string): { readonly path: string; readonly isFolder: boolean } };
  readonly jobs: JobStarter;
  readonly settings: { get(): Settings };
  readonly bus: EventBus;
  /** Where copies go when there is no place beside their source. */
  readonly modelsFolder: string;
  /** Where the demo models are that come with the studio; null: none do. */
  readonly demosFolder?: string | null;
}

type QuantizedPrediction = Awaited<ReturnType<StudioHandlers['models']['predictQuantized']>>;

/** A scan that takes longer than this is left to its job. */
const patienceMs = 1500;

export class ModelsService {
  readonly handlers: StudioHandlers['models'];
  /** Resolves when the demo models are in the list, at the first start after a few moments. Never fails. */
  readonly demosReady: Promise<void>;
  readonly #options: ModelsServiceOptions;
  readonly #rows: ModelRows;
  /** Ids whose files are gone; found out at start and whenever they are looked at. */
  readonly #missing = new Set<string>();

  constructor(options: ModelsServiceOptions) {
    this.#options = options;
    this.#rows = new ModelRows(options.db);
    const { jobs, engine } = options;
    jobs.register(scanRunner({ engine, take: (path) => this.#look(path).then(() => undefined) }));
    jobs.register(verifyRunner({ engine, pathOf: (id) => this.pathOf(id) }));
    jobs.register(
      quantizeRunner({
        engine,
        pathOf: (id) => this.pathOf(id),
        threads: () => options.settings.get().threads,
        take: (path) => this.#look(path).then(() => undefined),
      }),
    );
    this.handlers = {
      list: () => this.list(),
      add: ({ grantId }) => this.#add(grantId),
      remove: ({ modelId }) => {
        this.#rows.remove(this.#row(modelId).id);
        this.#changed();
        return {};
      },
      restore: ({ modelId }) => {
        const row = this.#rows.restore(modelId);
        if (row === null) throw unknownModel();
        this.#changed();
        return this.#model(row);
      },
      showDemos: () => this.#showDemos(),
      refresh: ({ modelId }) => this.#refresh(modelId),
      fit: ({ modelId, contextLength }) => this.fit(modelId, contextLength),
      verify: ({ modelId }) => {
        const { name } = this.#model(this.#row(modelId));
        return { jobId: jobs.start('models.verify', name, { modelId }) };
      },
      predictQuantized: ({ modelId, options: chosen }) => this.#predictQuantized(modelId, chosen),
      quantize: async ({ modelId, options: chosen }) => {
        const model = this.get(modelId);
        requireQuantizable(model);
        const destination = await chooseDestination(this.pathOf(modelId), chosen, options.modelsFolder);
        return { jobId: jobs.start('models.quantize', model.name, { modelId, destination, options: chosen }) };
      },
    };
    this.demosReady = this.#adoptDemos();
    void this.demosReady.then(() => this.#checkFiles());
  }

  list(): Model[] {
    return this.#rows.all().map((row) => this.#model(row));
  }

  /** Fails with `not-found`. */
  get(modelId: string): Model {
    return this.#model(this.#row(modelId));
  }

  /** Where a model lies. Fails with `not-found`. */
  pathOf(modelId: string): string {
    return this.#row(modelId).path;
  }

  /** Adds the file, or every model under the folder, and waits for all. For the command line. */
  async addPath(path: string): Promise<Model[]> {
    const added: Model[] = [];
    for await (const found of this.#options.engine.discover(path)) added.push(await this.#look(found.path));
    if (added.length === 0) added.push(await this.#look(path));
    return added;
  }

  fit(modelId: string, contextLength: number | null): Promise<Fit> {
    const { device, threads } = this.#options.settings.get();
    return this.#options.engine.fit(this.pathOf(modelId), contextLength, { device, threads });
  }

  async #predictQuantized(modelId: string, chosen: QuantizeOptions): Promise<QuantizedPrediction> {
    requireQuantizable(this.get(modelId));
    const { engine, settings, modelsFolder } = this.#options;
    const path = this.pathOf(modelId);
    const { sourceBytes, weightBytes } = await engine.predictQuantized(requestOf(path, chosen, settings.get().threads));
    const now = await this.fit(modelId, null);
    const neededBytes = weightBytes + now.cacheBytes + now.overheadBytes;
    const { availableBytes } = now;
    const tightShare = 0.85;
    const verdict =
      neededBytes > availableBytes ? 'too-large' : neededBytes > availableBytes * tightShare ? 'tight' : 'fits';
    return {
      sourceBytes,
      weightBytes,
      fit: { verdict, neededBytes, availableBytes },
      destination: await chooseDestination(path, chosen, modelsFolder),
    };
  }

  async #add(grantId: string): Promise<{ models: Model[]; jobId: string | null }> {
    const { path, isFolder } = this.#options.files.resolve(grantId);
    if (!isFolder) return { models: [await this.#look(await this.#wholeModel(path))], jobId: null };
    const { jobs } = this.#options;
    const before = new Set(this.#rows.all().map(({ id }) => id));
    const jobId = jobs.start('models.scan', basename(path) || path, { path });
    const job = await Promise.race([jobs.wait(jobId), new Promise<null>((done) => setTimeout(done, patienceMs, null))]);
    const models = this.#rows
      .all()
      .filter((row) => !before.has(row.id))
      .map((row) => this.#model(row));
    if (job === null) return { models, jobId };
    if (job.status === 'failed' && job.error !== null) throw new LutraError(job.error);
    jobs.dismiss(jobId);
    return { models: models.length > 0 ? models : this.#under(path), jobId: null };
  }

  /** A file inside a model's folder stands for the folder. */
  async #wholeModel(path: string): Promise<string> {
    for await (const found of this.#options.engine.discover(path)) return found.path;
    return path;
  }

  #under(folder: string): Model[] {
    return this.#rows
      .all()
      .filter(({ path }) => path === folder || path.startsWith(`${folder}/`) || path.startsWith(`${folder}\\`))
      .map((row) => this.#model(row));
  }

  /** Looks at the model at `path` and keeps what it is. Fails when it is no model at all. */
  async #look(path: string, isDemo = this.#isDemo(path)): Promise<Model> {
    const inspection = await this.#options.engine.inspect(path);
    if (inspection.kind === null && inspection.problem !== null) throw new LutraError(inspection.problem);
    const { mtimeMs } = await stat(path);
    const row = this.#rows.put({
      id: randomUUID(),
      path,
      inspection,
      sizeBytes: inspection.sizeBytes,
      modifiedAt: Math.round(mtimeMs),
      isDemo,
      addedAt: Date.now(),
    });
    this.#missing.delete(row.id);
    this.#changed();
    return this.#model(row);
  }

  async #refresh(modelId: string | null): Promise<Model[]> {
    const rows = modelId === null ? this.#rows.all() : [this.#row(modelId)];
    const models: Model[] = [];
    for (const row of rows) {
      models.push((await this.#isThere(row)) ? await this.#look(row.path) : this.#model(row));
    }
    this.#changed();
    return models;
  }

  /** At start: which files are gone, and which changed since they were looked at. */
  async #checkFiles(): Promise<void> {
    try {
      for (const row of this.#rows.all()) {
        if (!(await this.#isThere(row))) this.#changed();
        else if (Math.round((await stat(row.path)).mtimeMs) !== row.modified_at) await this.#look(row.path);
      }
    } catch (thrown) {
      if (!this.#options.db.open) return;
      this.#options.bus.publish({ type: 'notice', level: 'warning', error: toErrorData(thrown) });
    }
  }

  async #isThere(row: ModelRow): Promise<boolean> {
    const isThere = (await stat(row.path).catch(() => null)) !== null;
    if (isThere) this.#missing.delete(row.id);
    else this.#missing.add(row.id);
    return isThere;
  }

  #isDemo(path: string): boolean {
    return this.#rows.demos().some((row) => row.path === path);
  }

  /**
   * Registers the demo models where they lie. They are known by their folder's name, since the studio itself may lie
   * elsewhere at each start. Hidden ones stay hidden.
   */
  async #adoptDemos(): Promise<void> {
    const { demosFolder = null, db, bus } = this.#options;
    if (demosFolder === null) return;
    try {
      const folders = await demoFolders(demosFolder);
      if (!db.open) return;
      const known = this.#rows.demos();
      for (const path of folders) {
        const row = known.find((demo) => nameOf(demo.path) === nameOf(path));
        if (row === undefined) await this.#look(path, true);
        else if (row.path !== path) this.#rows.move(row.id, path);
      }
      this.#changed();
    } catch (thrown) {
      if (!db.open) return;
      bus.publish({ type: 'notice', level: 'warning', error: toErrorData(thrown) });
    }
  }

  async #showDemos(): Promise<Model[]> {
    const hidden = this.#rows.demos().filter(({ deleted_at }) => deleted_at !== null);
    const shown: Model[] = [];
    for (const row of hidden) {
      if (!(await this.#isThere(row))) continue;
      this.#rows.restore(row.id);
      shown.push(await this.#look(row.path));
    }
    this.#changed();
    return shown;
  }

  #row(modelId: string): ModelRow {
    const row = this.#rows.get(modelId);
    if (row === null) throw unknownModel();
    return row;
  }

  #model(row: ModelRow): Model {
    const inspection = JSON.parse(row.inspection) as Inspection;
    const isMissing = this.#missing.has(row.id);
    return {
      ...inspection,
      id: row.id,
      location: row.path,
      status: isMissing ? 'missing' : inspection.status,
      problem: isMissing ? missingProblem(row.path) : inspection.problem,
      isDemo: row.is_demo === 1,
      canQuantize: !isMissing && canQuantize(inspection),
      addedAt: row.added_at,
    };
  }

  #changed(): void {
    this.#options.bus.publish({ type: 'models' });
  }
}

function unknownModel(): LutraError {
  return new LutraError({
    code: 'not-found',
    message: 'That model is not in the list any more.',
    hint: 'Add it again.',
  });
}

function missingProblem(path: string): Model['problem'] {
  return {
    code: 'file-access',
    message: `"${basename(path)}" is not in ${dirname(path)} any more.`,
    hint: 'Put it back or connect its disk and look again, or remove it from the list.',
    subject: path,
  };
}
