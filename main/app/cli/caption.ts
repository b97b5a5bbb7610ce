import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CaptionFormat, CaptionNote, CaptionSegment } from '../../../contract/caption.ts';
import { captionSettingsSchema } from '../../../contract/caption-settings.ts';
import type { CaptionSettings } from '../../../contract/caption-settings.ts';
import { LutraError, toErrorData } from '../../../contract/errors.ts';
import type { ErrorData } from '../../../contract/errors.ts';
import type { Sampling } from '../../../contract/sampling.ts';
import { captionOf, infoOf } from '../../caption/captioner.ts';
import type { CaptionTools } from '../../caption/captioner.ts';
import { openWithFfmpeg } from '../../caption/clips.ts';
import { sidecarPaths, writeCaptions, writeSidecar } from '../../caption/export.ts';
import type { ExportItem } from '../../caption/export.ts';
import { isEmptyFor, isTable } from '../../caption/formats.ts';
import type { Written } from '../../caption/rows.ts';
import { scan } from '../../caption/scan.ts';
import { priorities } from '../../engine/engine.ts';
import type { Studio } from '../../studio.ts';
import { pathOf } from './evaluate.ts';
import type { CaptionArguments, CommandContext } from './program.ts';
import { interruptSignal, printJson, withStudio } from './with-studio.ts';

type Item = ExportItem & { readonly tags: string };

interface Outcome {
  readonly file: string;
  readonly caption: string | null;
  readonly segments: readonly CaptionSegment[];
  readonly note: CaptionNote;
  readonly written: string | null;
  readonly error: ErrorData | null;
}

const framesPerScene = 4;

/** Captions files and folders and writes what is asked for. True when nothing failed. */
export async function caption(context: CommandContext, args: CaptionArguments): Promise<boolean> {
  const settings = settingsOf(args);
  const found = await findItems(args);
  const folder = args.out === undefined ? null : resolve(args.out);
  const outcomes: Outcome[] = found.problems.map((error) => failure(error.subject ?? '', error));
  return withStudio(context, async (studio) => {
    const tools = await toolsOf(studio, args.model);
    const signal = interruptSignal();
    const paths = sidecarPaths(found.items, isTable(args.format) ? '.txt' : `.${args.format}`, folder);
    const wanted = args.skipExisting === true ? await without(found.items, paths) : found.items;
    const meter = new Meter(wanted.length, context.json);
    const captioned: Item[] = [];
    for (const item of wanted) {
      if (signal.aborted) break;
      meter.begin(item.name);
      try {
        const written = await captionItem(item, settings, tools, signal, meter);
        const whole = { ...item, ...written, state: 'done' as const };
        captioned.push(whole);
        const path = isEmptyFor(args.format, whole) ? undefined : paths.get(item);
        if (path !== undefined && !isTable(args.format)) await writeSidecar(path, args.format, whole);
        outcomes.push(outcomeOf(whole, written.note, isTable(args.format) ? null : (path ?? null)));
        meter.end();
        if (!context.json) process.stdout.write(`${item.path}: ${whole.text.replaceAll(/\s+/gu, ' ')}\n`);
      } catch (thrown) {
        if (signal.aborted) break;
        const error = toErrorData(thrown);
        // Without an engine there is nothing to go on with.
        if (error.code === 'engine-unavailable' || error.code === 'out-of-memory') throw thrown;
        outcomes.push(failure(item.path, error));
        meter.end();
      }
    }
    meter.close();
    if (isTable(args.format)) await writeTable(captioned, args.format, folder ?? commonFolder(args.paths, found.items));
    tell(outcomes, context.json, tools.model.path);
    if (signal.aborted) throw new LutraError({ code: 'cancelled', message: 'Stopped. What was done is kept.' });
    return outcomes.every(({ error }) => error === null);
  });
}

function settingsOf(args: CaptionArguments): CaptionSettings {
  const chosen = [args.frames, args.every, args.scenes].filter((value) => value !== undefined);
  if (chosen.length > 1) {
    throw new LutraError({
      code: 'bad-input',
      message: '--frames, --every and --scenes exclude each other.',
      hint: 'Choose one of them.',
    });
  }
  const given = {
    preset: args.preset,
    prompt: args.prompt,
    prefix: args.prefix,
    suffix: args.suffix,
    avoid: args.avoid,
    maxTokens: args.maxTokens,
    temperature: args.temperature,
    seed: args.seed,
    sampling: samplingOf(args),
  };
  const settings = captionSettingsSchema.safeParse(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  );
  if (settings.success) return settings.data;
  const field = settings.error.issues[0]?.path.join('.') ?? '';
  throw new LutraError({
    code: 'bad-input',
    message: `The value of ${field} is not accepted.`,
    hint: 'See: lutra caption --help',
    subject: field,
  });
}

function samplingOf({ frames, every, scenes }: CaptionArguments): Sampling | undefined {
  if (frames !== undefined) return { kind: 'uniform', frames };
  if (every !== undefined) return { kind: 'every', seconds: every };
  return scenes === true ? { kind: 'scenes', framesPerScene } : undefined;
}

async function findItems({ paths, recursive }: CaptionArguments): Promise<{ items: Item[]; problems: ErrorData[] }> {
  const items = new Map<string, Item>();
  const problems: ErrorData[] = [];
  for (const given of paths) {
    const path = resolve(given);
    const facts = await stat(path).catch((thrown: unknown) => {
      const { hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
      problems.push({ code: 'file-access', message: `"${given}" cannot be opened.`, hint, subject: path });
      return null;
    });
    if (facts === null) continue;
    const isFolder = facts.isDirectory();
    const found = await scan({ path, isFolder, folder: '', recursive: recursive ?? false, sidecars: 'ignore' });
    problems.push(...found.problems);
    if (!isFolder && found.items.length === 0) {
      problems.push({
        code: 'not-supported',
        message: `"${basename(path)}" is neither a picture nor a clip by its name.`,
        subject: path,
      });
    }
    for (const item of found.items) {
      const blank = { text: '', segments: [], seconds: null, modelName: '', state: 'waiting' as const };
      if (!items.has(item.path)) items.set(item.path, { ...item, ...blank });
    }
  }
  if (items.size === 0 && problems.length === 0) {
    throw new LutraError({
      code: 'bad-input',
      message: 'There is no picture and no clip there.',
      hint: 'With --recursive the folders within are looked through, too.',
      subject: 'path',
    });
  }
  return { items: [...items.values()], problems };
}

async function toolsOf(studio: Studio, model: string): Promise<CaptionTools> {
  const path = pathOf(studio, model);
  return {
    engine: studio.engine,
    model: { path, name: basename(path) },
    info: infoOf(await studio.engine.describeVision(path)),
    threads: studio.settings.get().threads,
    priority: priorities.interactive,
    openClip: (file, signal) => openWithFfmpeg(file.path, signal),
  };
}

/** Those that have no file yet. */
async function without(items: readonly Item[], paths: ReadonlyMap<Item, string>): Promise<Item[]> {
  const kept: Item[] = [];
  for (const item of items) {
    const path = paths.get(item);
    if (path === undefined || (await stat(path).catch(() => null)) === null) kept.push(item);
  }
  return kept;
}

async function captionItem(
  item: Item,
  settings: CaptionSettings,
  tools: CaptionTools,
  signal: AbortSignal,
  meter: Meter,
): Promise<Written & { seconds: number | null }> {
  let written: Written | null = null;
  let seconds: number | null = null;
  for await (const event of captionOf({ ...item, itemId: null }, settings, tools, signal)) {
    if (event.type === 'done') ({ written } = event);
    else if (event.type === 'facts') ({ seconds } = event.facts);
    else if (event.type === 'loading') meter.show(`loading ${Math.floor(event.fraction * 100)} %`);
    else meter.show(event.text);
  }
  if (written === null) throw new LutraError({ code: 'cancelled', message: 'Stopped.' });
  return { ...written, seconds };
}

async function writeTable(items: readonly Item[], format: CaptionFormat, folder: string): Promise<void> {
  const { problems } = await writeCaptions(items, { format, folder, existing: 'replace' });
  if (problems[0] !== undefined) throw new LutraError(problems[0]);
  if (items.length > 0) process.stderr.write(`${join(folder, `captions.${format}`)}\n`);
}

/** Into the folder that was given, or beside the first file. */
function commonFolder(paths: readonly string[], items: readonly Item[]): string {
  const [given] = paths;
  const [first] = items;
  const whole = resolve(given ?? '.');
  return first !== undefined && first.path !== whole && first.path.startsWith(whole)
    ? whole
    : dirname(first?.path ?? whole);
}

function outcomeOf({ path, text, segments }: Item, note: CaptionNote, written: string | null): Outcome {
  return { file: path, caption: text, segments, note, written, error: null };
}

function failure(file: string, error: ErrorData): Outcome {
  return { file, caption: null, segments: [], note: '', written: null, error };
}

function tell(outcomes: readonly Outcome[], json: boolean, model: string): void {
  if (json) {
    printJson({ model, items: outcomes });
    return;
  }
  for (const { error } of outcomes) {
    if (error !== null) process.stderr.write(`${error.message}${error.hint === undefined ? '' : ` ${error.hint}`}\n`);
  }
}

const barWidth = 24;
const widest = 100;

/** A line on a terminal: how far, how long yet, and what is being written. */
class Meter {
  readonly #total: number;
  readonly #isShown: boolean;
  readonly #begunAt = performance.now();
  #done = 0;
  #name = '';

  constructor(total: number, json: boolean) {
    this.#total = total;
    this.#isShown = !json && process.stderr.isTTY;
  }

  begin(name: string): void {
    this.#name = name;
    this.show('');
  }

  show(text: string): void {
    if (!this.#isShown) return;
    const share = this.#total === 0 ? 1 : this.#done / this.#total;
    const filled = Math.round(share * barWidth);
    const seconds = (performance.now() - this.#begunAt) / 1000;
    const left = this.#done === 0 ? '' : ` ${Math.ceil((seconds / this.#done) * (this.#total - this.#done))} s left`;
    const bar = `${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}`;
    const line = `[${bar}] ${this.#done}/${this.#total}${left} ${this.#name} ${text.replaceAll(/\s+/gu, ' ')}`;
    process.stderr.write(`\r\u001b[K${[...line].slice(0, widest).join('')}`);
  }

  end(): void {
    this.#done += 1;
    this.close();
  }

  close(): void {
    if (this.#isShown) process.stderr.write('\r\u001b[K');
  }
}
