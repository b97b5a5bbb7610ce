import { extname, resolve } from 'node:path';
import { audioFormatSchema, audioSettingsSchema } from '../../../contract/audio.ts';
import type { AudioFormat, AudioSettings } from '../../../contract/audio.ts';
import { LutraError } from '../../../contract/errors.ts';
import { infoOf, makeTakes } from '../../audio/maker.ts';
import type { FilledSettings, StartingSound } from '../../audio/maker.ts';
import { priorities } from '../../engine/engine.ts';
import { encodeAudio, readAudio, readSettings } from '../../media/audio-file.ts';
import { writeWhole } from '../../media/whole-file.ts';
import type { Studio } from '../../studio.ts';
import { pathOf } from './evaluate.ts';
import type { AudioArguments, CommandContext } from './program.ts';
import { interruptSignal, printJson, withStudio } from './with-studio.ts';

interface Written {
  readonly file: string;
  readonly seed: number;
  readonly seconds: number;
  readonly madeInSeconds: number;
}

/** Makes sounds and writes them as files that carry what made them. */
export async function audio(context: CommandContext, args: AudioArguments): Promise<void> {
  const format = formatOf(args);
  const before = args.from === undefined ? null : await settingsIn(args.from);
  await withStudio(context, async (studio) => {
    const path = pathOf(studio, args.model ?? before?.path ?? missing('--model'));
    const textEncoder = args.textEncoder === undefined ? '' : resolve(args.textEncoder);
    const settings = settingsOf(args, before?.settings ?? null, await longestSeconds(studio, path, textEncoder));
    const written: Written[] = [];
    let begunAt = performance.now();
    const events = makeTakes({
      engine: studio.engine,
      model: { path, name: path },
      textEncoder,
      threads: studio.settings.get().threads,
      settings,
      sound: await startingSound(args),
      signal: interruptSignal(),
      priority: priorities.interactive,
    });
    for await (const event of events) {
      if (event.type === 'cut') {
        process.stderr.write(`The prompt is too long for this model. It does not hear: ${shortened(event.text)}\n`);
      } else if (event.type === 'stage') {
        if (!context.json && process.stderr.isTTY) process.stderr.write(`\r${progressLine(event)}`);
      } else {
        const file = fileOf(args.out, written.length, settings.takes);
        const tags = { settings: event.settings, model: path };
        await writeWhole(
          file,
          await encodeAudio(event.pcm, format, { title: titleOf(event.settings), settings: tags }),
        );
        const madeInSeconds = (performance.now() - begunAt) / 1000;
        begunAt = performance.now();
        written.push({ file, seed: event.settings.seed, seconds: event.settings.seconds, madeInSeconds });
        if (event.isFlat) process.stderr.write('The model made silence. Try another seed or more steps.\n');
        if (!context.json)
          process.stdout.write(`${file}  seed ${event.settings.seed}, ${madeInSeconds.toFixed(1)} s\n`);
      }
    }
    if (context.json) printJson({ model: path, files: written });
  });
}

function formatOf({ out, bitDepth, normalize }: AudioArguments): AudioFormat {
  const ending = extname(out).slice(1).toLowerCase().replace('opus', 'ogg');
  const format = audioFormatSchema.safeParse({ format: ending, bitDepth: Number(bitDepth), normalize });
  if (format.success) return format.data;
  throw new LutraError({
    code: 'bad-input',
    message: `"${out}" has an ending that is no kind of sound.`,
    hint: 'End it with .wav, .flac, .mp3, .m4a or .ogg.',
    subject: '--out',
  });
}

async function settingsIn(file: string): Promise<{ settings: AudioSettings; path: string | null }> {
  const found = (await readSettings(resolve(file))) as { settings?: unknown; model?: unknown } | null;
  const settings = audioSettingsSchema.safeParse(found?.settings);
  if (settings.success) return { settings: settings.data, path: typeof found?.model === 'string' ? found.model : null };
  throw new LutraError({
    code: 'bad-file',
    message: `"${file}" carries no settings of Lutra's.`,
    hint: 'Give a file that Lutra made.',
    subject: '--from',
  });
}

function settingsOf(args: AudioArguments, before: AudioSettings | null, longest: number): AudioSettings {
  const usual = 10;
  const given = {
    prompt: args.prompt,
    negativePrompt: args.negative,
    seconds: args.seconds,
    steps: args.steps,
    guidance: args.cfg,
    guidanceRescale: args.cfgRescale,
    sampler: args.sampler,
    sigmaMin: args.sigmaMin,
    sigmaMax: args.sigmaMax,
    rho: args.rho,
    seed: args.seed,
    takes: args.takes,
    strength: args.strength,
    weights: args.weights,
  };
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = audioSettingsSchema.safeParse({ seconds: Math.min(usual, longest), ...before, ...known });
  if (settings.success) return settings.data;
  const field = settings.error.issues[0]?.path.join('.') ?? '';
  throw new LutraError({
    code: 'bad-input',
    message: field === 'prompt' ? 'There is no prompt.' : `The value of ${field} is not accepted.`,
    hint: field === 'prompt' ? 'Say what it should sound like with --prompt.' : 'See: lutra audio --help',
    subject: field,
  });
}

async function longestSeconds(studio: Studio, path: string, textEncoder: string): Promise<number> {
  return infoOf(await studio.engine.describeAudio(path, textEncoder)).longestSeconds;
}

async function startingSound({ init, region }: AudioArguments): Promise<StartingSound | null> {
  if (init === undefined) {
    if (region === undefined) return null;
    throw new LutraError({
      code: 'bad-input',
      message: '--region needs a sound.',
      hint: 'Give one with --init.',
      subject: '--region',
    });
  }
  const pcm = await readAudio(resolve(init));
  if (region === undefined) return { pcm, region: null };
  const match = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(region);
  const [start, end] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && end > start) return { pcm, region: { start, end } };
  throw new LutraError({
    code: 'bad-input',
    message: `"${region}" is no region.`,
    hint: 'Write seconds from and to, such as 2.5-4.',
    subject: '--region',
  });
}

function missing(option: string): never {
  throw new LutraError({ code: 'bad-input', message: `${option} is missing.`, hint: 'See: lutra audio --help' });
}

/** Of several takes, each has its number before the ending. */
function fileOf(out: string, at: number, takes: number): string {
  const whole = resolve(out);
  const ending = extname(whole);
  return takes === 1 ? whole : `${whole.slice(0, -ending.length)}-${at + 1}${ending}`;
}

function titleOf({ prompt }: FilledSettings): string {
  const longest = 100;
  return prompt.replaceAll(/\s+/gu, ' ').slice(0, longest);
}

/** Enough to know where it was cut. */
function shortened(text: string): string {
  const longest = 200;
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}

const stages = { loading: 'Loading', steps: 'Step', decoding: 'Decoding' } as const;

function progressLine({ stage, done, total }: { stage: keyof typeof stages; done: number; total: number }): string {
  return `${stages[stage]} ${done} of ${total}   `;
}
