/** Sounds from text: runs in main, whatever windows do; takes are files beside the database. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { audioSettingsSchema } from '../../contract/audio.ts';
import type {
  AudioFormat,
  AudioModelInfo,
  AudioRun,
  AudioSettings,
  AudioSource,
  AudioTake,
} from '../../contract/audio.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Model } from '../../contract/models.ts';
import type { Settings } from '../../contract/settings.ts';
import type { Engine } from '../engine/engine.ts';
import { priorities } from '../engine/engine.ts';
import type { EventBus } from '../events.ts';
import { encodeAudio, readAudio, readSettings } from '../media/audio-file.ts';
import { writeWhole } from '../media/whole-file.ts';
import { loudnessOf } from '../media/loudness.ts';
import { cutOut, normalized, peaksOf, secondsOf, withChannels } from '../media/pcm.ts';
import type { Pcm } from '../media/pcm.ts';
import { infoOf, isCancellation, makeTakes } from './maker.ts';
import type { StartingSound } from './maker.ts';
import { AudioRows } from './rows.ts';
import { fileNameOf } from './names.ts';
import { AudioWatchers } from './watchers.ts';

export interface AudioServiceOptions {
  readonly db: Database.Database;
  readonly engine: Engine;
  readonly models: { get(modelId: string): Model; pathOf(modelId: string): string };
  readonly files: { resolve(grantId: string): { readonly path: string } };
  readonly settings: { get(): Settings };
  readonly bus: EventBus;
  /** Where the takes' samples are. */
  readonly folder: string;
}

interface Run {
  readonly id: string;
  readonly modelId: string;
  readonly settings: AudioSettings;
  readonly source: AudioSource | null;
  readonly abort: AbortController;
}

interface NewSound {
  readonly pcm: Pcm;
  readonly name: string;
  readonly modelName: string;
  readonly settings: AudioSettings;
  readonly parentId: string | null;
}

type SoundBytes = Parameters<StudioHandlers['audio']['importSound']>[0];

const longestImportSeconds = 300;
const shortestSeconds = 0.01;

/** As the takes are kept: nothing is lost. */
const kept: AudioFormat = { format: 'wav', bitDepth: 32, normalize: 'off' };
const longestName = 60;

export class AudioService {
  readonly handlers: StudioHandlers['audio'];
  readonly #options: AudioServiceOptions;
  readonly #rows: AudioRows;
  readonly #watchers = new AudioWatchers();
  readonly #waiting: Run[] = [];
  #running: { readonly run: Run; readonly work: Promise<void> } | null = null;
  #state: AudioRun | null = null;
  #isDisposed = false;

  constructor(options: AudioServiceOptions) {
    this.#options = options;
    this.#rows = new AudioRows(options.db);
    this.handlers = {
      describe: ({ modelId }) => this.describe(modelId),
      takes: () => this.#rows.all(),
      generate: ({ modelId, settings, source }) => this.#enqueue(modelId, settings, source),
      cancel: ({ runId }) => {
        const at = this.#waiting.findIndex(({ id }) => id === runId);
        if (at >= 0) this.#waiting.splice(at, 1);
        if (this.#running?.run.id === runId) this.#running.run.abort.abort();
        return {};
      },
      watch: (_nothing, { signal }) => this.#watchers.watch({ type: 'run', run: this.#state }, signal),
      file: async ({ takeId, format, region, template }) => {
        const { take } = this.#take(takeId);
        const whole = await this.#samples(takeId);
        const pcm = region === null ? whole : cutOut(whole, region.start, region.end);
        const bytes = await encodeAudio(pcm, format, { title: take.name, settings: tagsOf(take) });
        return { name: `${fileNameOf(take, template)}.${format.format}`, bytes };
      },
      peaks: async ({ takeId, parts }) => {
        const pcm = normalized(await this.#samples(takeId), 'safe');
        const values = peaksOf(pcm, parts);
        return { values: new Uint8Array(values.buffer), loudness: loudnessOf(pcm) };
      },
      rename: ({ takeId, name }) => this.#changed(takeId, () => this.#rows.rename(takeId, name)),
      star: ({ takeId, isStarred }) => this.#changed(takeId, () => this.#rows.star(takeId, isStarred)),
      remove: ({ takeId }) => {
        this.#changed(takeId, () => undefined);
        this.#rows.remove(takeId);
        this.#watchers.tell({ type: 'changed' });
        return {};
      },
      restore: ({ takeId }) => {
        this.#rows.restore(takeId);
        return this.#changed(takeId, () => undefined);
      },
      importSound: (sound) => this.#import(sound),
      settingsOf: async ({ grantId }) => {
        const found = await readSettings(options.files.resolve(grantId).path);
        const settings = audioSettingsSchema.safeParse((found as { settings?: unknown } | null)?.settings);
        return { settings: settings.success ? settings.data : null };
      },
    };
  }

  async describe(modelId: string): Promise<AudioModelInfo> {
    return infoOf(await this.#options.engine.describeAudio(this.#options.models.pathOf(modelId), ''));
  }

  /** Waits until what runs has ended. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.#waiting.length = 0;
    this.#running?.run.abort.abort();
    await this.#running?.work;
  }

  async #enqueue(modelId: string, settings: AudioSettings, source: AudioSource | null): Promise<{ runId: string }> {
    const model = this.#options.models.get(modelId);
    if (!model.capabilities.includes('audio') || model.status !== 'ready') {
      throw new LutraError({
        code: 'not-supported',
        message: `${model.name} makes no sounds.`,
        hint: 'Choose an audio model.',
        subject: model.name,
      });
    }
    // What is wrong with the request is said at once, not when its turn comes.
    const info = await this.describe(modelId);
    if (info.problem !== null) throw new LutraError(info.problem);
    const run = { id: randomUUID(), modelId, settings, source, abort: new AbortController() };
    this.#waiting.push(run);
    if (this.#running === null) this.#next();
    return { runId: run.id };
  }

  #next(): void {
    const run = this.#isDisposed ? undefined : this.#waiting.shift();
    if (run === undefined) {
      this.#running = null;
      this.#show(null);
      return;
    }
    const work = this.#carryOut(run).then(() => this.#next());
    this.#running = { run, work };
  }

  async #carryOut(run: Run): Promise<void> {
    const { signal } = run.abort;
    const { engine, settings, models } = this.#options;
    try {
      const model = models.get(run.modelId);
      const base = {
        id: run.id,
        modelName: model.name,
        prompt: run.settings.prompt,
        takes: run.settings.takes,
        cutPrompt: '',
      };
      let take = 1;
      let state: AudioRun = { ...base, stage: 'waiting', done: 0, total: 1, take, etaSeconds: null, preview: null };
      const update = (patch: Partial<AudioRun>): void => {
        state = { ...state, ...patch };
        this.#show(state);
      };
      this.#show(state);
      const events = makeTakes({
        engine,
        model: { path: models.pathOf(run.modelId), name: model.name },
        textEncoder: '',
        threads: settings.get().threads,
        settings: run.settings,
        sound: run.source === null ? null : await this.#startingSound(run.source),
        signal,
        priority: priorities.normal,
      });
      let begunAt = performance.now();
      for await (const event of events) {
        if (event.type === 'cut') {
          update({ cutPrompt: event.text });
        } else if (event.type === 'stage') {
          const { stage, done, total } = event;
          if (stage !== state.stage) begunAt = performance.now();
          const etaSeconds = done === 0 ? null : (((performance.now() - begunAt) / done) * (total - done)) / 1000;
          update({ stage, done, total, etaSeconds, preview: event.preview ?? state.preview });
        } else {
          await this.#keep(run, model.name, event.pcm, event.settings, event.isFlat);
          take += 1;
          update({ take: Math.min(take, run.settings.takes), preview: null });
        }
      }
    } catch (thrown) {
      if (!isCancellation(thrown, signal)) this.#watchers.tell({ type: 'failed', error: toErrorData(thrown) });
    }
  }

  async #keep(run: Run, modelName: string, pcm: Pcm, settings: AudioSettings, isFlat: boolean): Promise<void> {
    const name = settings.prompt.replaceAll(/\s+/gu, ' ').slice(0, longestName).trim();
    const take = await this.#save({ pcm, name, modelName, settings, parentId: run.source?.takeId ?? null });
    this.#watchers.tell({ type: 'made', take });
    if (!isFlat) return;
    this.#options.bus.publish({
      type: 'notice',
      level: 'warning',
      error: {
        code: 'internal',
        message: 'The model made silence.',
        hint: 'Try another seed, more steps, or other words.',
        subject: name,
      },
    });
  }

  /** The file first: a row without samples would be a take that cannot be heard. */
  async #save({ pcm, name, modelName, settings, parentId }: NewSound): Promise<AudioTake> {
    const { folder } = this.#options;
    const id = randomUUID();
    const fileName = `${id}.wav`;
    await mkdir(folder, { recursive: true });
    const tags = { title: name, settings: { settings, model: modelName } };
    await writeWhole(join(folder, fileName), await encodeAudio(pcm, kept, tags));
    return this.#rows.add({
      id,
      parentId,
      name,
      fileName,
      modelName,
      settings,
      seed: settings.seed ?? 0,
      seconds: secondsOf(pcm),
      sampleRate: pcm.sampleRate,
      channels: pcm.channels.length,
    });
  }

  async #import({ name, sampleRate, channels, bytes }: SoundBytes): Promise<AudioTake> {
    const frameBytes = channels * Float32Array.BYTES_PER_ELEMENT;
    const length = bytes.length / frameBytes;
    if (length < 1 || !Number.isInteger(length) || length > longestImportSeconds * sampleRate) {
      throw new LutraError({
        code: 'bad-input',
        message: `"${name}" is empty or longer than ${longestImportSeconds / 60} minutes.`,
        hint: 'Cut out the part that you need.',
        subject: name,
      });
    }
    // A copy: a view needs its bytes aligned.
    const all = new Float32Array(Uint8Array.from(bytes).buffer);
    const split = Array.from({ length: channels }, (_, at) => all.slice(at * length, (at + 1) * length));
    if (all.some((value) => !Number.isFinite(value)))
      throw new LutraError({
        code: 'bad-file',
        message: `"${name}" holds samples that are no numbers.`,
        subject: name,
      });
    const pcm = withChannels({ sampleRate, channels: split }, 2);
    const settings = audioSettingsSchema.parse({ prompt: name, seconds: Math.max(shortestSeconds, secondsOf(pcm)) });
    const take = await this.#save({ pcm, name, modelName: '', settings, parentId: null });
    this.#watchers.tell({ type: 'made', take });
    return take;
  }

  async #startingSound({ takeId, region }: AudioSource): Promise<StartingSound> {
    return { pcm: await this.#samples(takeId), region };
  }

  #samples(takeId: string): Promise<Pcm> {
    return readAudio(join(this.#options.folder, this.#take(takeId).fileName));
  }

  #take(takeId: string): { take: AudioTake; fileName: string } {
    const found = this.#rows.get(takeId);
    if (found !== null) return found;
    throw new LutraError({ code: 'not-found', message: 'That take is not in the list any more.' });
  }

  #changed(takeId: string, change: () => void): AudioTake {
    this.#take(takeId);
    change();
    this.#watchers.tell({ type: 'changed' });
    return this.#take(takeId).take;
  }

  #show(state: AudioRun | null): void {
    this.#state = state;
    this.#watchers.tell({ type: 'run', run: state });
  }
}

/** What an exported file carries: enough to make it again. */
export function tagsOf({ settings, modelName }: Pick<AudioTake, 'settings' | 'modelName'>): unknown {
  return { settings, model: modelName };
}
