/** The commands, their options, and what their exit codes mean: 0 fine, 1 failed, 2 used wrongly. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { captionFormats } from '../../../contract/caption.ts';
import type { CaptionFormat } from '../../../contract/caption.ts';
import { captionPresets } from '../../../contract/caption-settings.ts';
import type { CaptionPreset } from '../../../contract/caption-settings.ts';
import { defaultSampler } from '../../../contract/chat.ts';
import { toErrorData } from '../../../contract/errors.ts';
import type { ErrorData } from '../../../contract/errors.ts';
import { version } from '../../../package.json';
import { chosenDataFolder, serveStudio } from '../serve.ts';
import { caption } from './caption.ts';
import { chat } from './chat.ts';
import { doctor } from './doctor.ts';
import { audio } from './audio.ts';
import { evaluateChat } from './evaluate-chat.ts';
import { evaluateAudio, evaluateLogits, evaluatePerplexity, evaluateVision } from './evaluate.ts';
import { addModels, listModels } from './models.ts';
import { quantize } from './quantize.ts';
import { recover } from './recover.ts';

const failed = 1;
const usedWrongly = 2;

/** What every command knows. */
export interface CommandContext {
  /** The folder of the built entry point. */
  readonly entryFolder: string;
  readonly dataFolder: string;
  readonly json: boolean;
}

function whole(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`It should be a whole number from ${minimum} to ${maximum}.`);
    }
    return value;
  };
}

function real(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`It should be a number from ${minimum} to ${maximum}.`);
    }
    return value;
  };
}

interface GlobalOptions {
  readonly data?: string;
  readonly json?: boolean;
}

/** Runs a command line and sets the exit code. Errors go to stderr; with --json only JSON goes to stdout. */
export async function runCli(args: readonly string[], entryFolder: string): Promise<void> {
  // A reader that closes early (`lutra models | head`) is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    await buildProgram(entryFolder).parseAsync([...args], { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? 0 : usedWrongly;
      return;
    }
    const error = toErrorData(thrown);
    process.stderr.write(describe(error));
    process.exitCode = error.code === 'bad-input' ? usedWrongly : failed;
  }
}

function describe(error: ErrorData): string {
  return `lutra: ${error.message}\n${error.hint === undefined ? '' : `       ${error.hint}\n`}`;
}

function buildProgram(entryFolder: string): Command {
  const program = new Command('lutra')
    .description('Generative models on your own machine.')
    .version(version)
    .showHelpAfterError('Try: lutra --help')
    .exitOverride();
  const contextOf = (options: GlobalOptions): CommandContext => ({
    entryFolder,
    dataFolder: chosenDataFolder(options.data),
    json: options.json ?? false,
  });
  const data = (): Option => new Option('--data <folder>', 'keep chats and settings in this folder');
  const json = (): Option => new Option('--json', 'print JSON alone on stdout');

  program
    .command('serve', { isDefault: false })
    .description('open the studio for a browser on this machine')
    .option('--port <port>', 'listen on this port', whole(0, 65_535), 0)
    .option('--open', 'open the address in the browser')
    .addOption(data())
    .action(async (options: GlobalOptions & { port: number; open?: boolean }) => {
      const { dataFolder } = contextOf(options);
      await serveStudio(entryFolder, { port: options.port, dataFolder, open: options.open ?? false });
    });

  program
    .command('doctor')
    .description('check this machine and the engine')
    .addOption(json())
    .addOption(data())
    .action(async (options: GlobalOptions) => {
      if (!(await doctor(contextOf(options)))) process.exitCode = failed;
    });

  const models = program
    .command('models')
    .description('list the models that Lutra knows')
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions) => listModels(contextOf(options)));
  models
    .command('add')
    .description('add a model file, or every model under a folder; the files stay where they are')
    .argument('<path>')
    .addOption(json())
    .addOption(data())
    .action((path: string, _own: GlobalOptions, command: Command) =>
      addModels(contextOf(command.optsWithGlobals<GlobalOptions>()), path),
    );

  program
    .command('chat')
    .description('ask a model one question')
    .requiredOption('--model <model>', 'a path, or the name or id of a known model')
    .requiredOption('--prompt <text>', 'the question; - reads it from stdin')
    .option('--system <text>', 'a system prompt', '')
    .option('--max-tokens <n>', 'stop after this many tokens', whole(1, 1_000_000))
    .option(
      '--temperature <t>',
      'how freely it picks: 0 is the likeliest token',
      real(0, 5),
      defaultSampler.temperature,
    )
    .option('--seed <n>', 'the same seed gives the same answer', whole(0, 0xffff_ffff))
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & ChatArguments) => chat(contextOf(options), options));

  program
    .command('audio')
    .description('make a sound from text')
    .option('--model <model>', 'a path, or the name or id of a known model; --from knows its own')
    .option('--prompt <text>', 'what it should sound like')
    .option('--negative <text>', 'what it should not sound like')
    .option('--seconds <s>', 'its length; the model says how long it can be', real(0.01, 600))
    .option('--steps <n>', 'more steps, more care', whole(1, 1000))
    .option('--cfg <scale>', 'how closely it follows the prompt', real(0, 100))
    .option('--cfg-rescale <share>', 'keeps strong guidance from growing loud', real(0, 1))
    .option('--sampler <name>', 'the path from noise to sound')
    .option('--sigma-min <x>', 'the least noise', real(0.0001, 1000))
    .option('--sigma-max <x>', 'the most noise', real(0.001, 10_000))
    .option('--rho <x>', 'how the steps are spread', real(0.01, 20))
    .option('--seed <n>', 'the same seed gives the same sound', whole(0, 0xffff_ffff))
    .option('--takes <n>', 'so many, with seeds that count up', whole(1, 16))
    .option('--init <file>', 'a WAV file to start from')
    .option('--strength <share>', 'how much of it is made anew', real(0, 1))
    .option('--region <from-to>', 'with --init: make only these seconds anew, such as 2.5-4')
    .option('--text-encoder <folder>', "T5's folder, where it is not beside the model")
    .addOption(new Option('--weights <type>', 'how matrices are held').choices(['f32', 'bf16', 'q8', 'lut4']))
    .addOption(new Option('--normalize <how>', 'the level').choices(['off', 'peak', 'safe']).default('safe'))
    .addOption(new Option('--bit-depth <n>', 'of WAV').choices(['16', '24', '32']).default('24'))
    .option('--from <file>', 'repeat the settings that an exported file carries')
    .requiredOption('--out <file>', 'what to write: .wav, .flac, .mp3 or .m4a')
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & AudioArguments) => audio(contextOf(options), options));

  program
    .command('caption')
    .description('caption pictures and clips, and write the captions beside them')
    .argument('<paths...>', 'pictures, clips, and folders of them')
    .requiredOption('--model <model>', 'a folder of a model that looks, or the name or id of a known one')
    .option('--prompt <text>', 'what to ask; {name}, {folder} and {tags} are filled in')
    .addOption(new Option('--preset <name>', 'what to ask').choices(captionPresets).conflicts('prompt'))
    .addOption(new Option('--format <format>', 'what to write').choices(captionFormats).default('txt'))
    .option('--out <folder>', 'write into this folder, not beside the files')
    .option('--recursive', 'look into folders within folders')
    .option('--skip-existing', 'leave out what has a caption file already')
    .option('--prefix <words>', 'put before each caption, such as a trigger word')
    .option('--suffix <words>', 'put after each caption')
    .option('--avoid <words...>', 'words that the captions should not hold')
    .option('--max-tokens <n>', 'at most so many tokens a caption', whole(1, 8192))
    .option('--temperature <t>', 'how freely it picks: 0 is the likeliest token', real(0, 2))
    .option('--seed <n>', 'the same seed gives the same captions', whole(0, 0xffff_ffff))
    .option('--frames <n>', 'of clips: look at so many frames a minute, spread evenly', whole(1, 256))
    .option('--every <seconds>', 'of clips: look at one frame each so many seconds', real(0.05, 3600))
    .option('--scenes', 'of clips: a caption for each scene')
    .addOption(json())
    .addOption(data())
    .action(async (paths: string[], options: GlobalOptions & Omit<CaptionArguments, 'paths'>) => {
      if (!(await caption(contextOf(options), { ...options, paths }))) process.exitCode = failed;
    });

  const evaluate = program.command('eval').description('compare a model with its reference implementation');
  evaluate
    .command('logits')
    .description('write the logits of every position of a prompt, in full precision')
    .requiredOption('--model <model>', 'a Hugging Face folder, or the name or id of a known model')
    .requiredOption('--tokens <file>', 'a JSON array of token ids')
    .requiredOption('--out <file>', 'the .npy file to write: f32, (tokens, vocabulary)')
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & EvaluateArguments) => evaluateLogits(contextOf(options), options));

  evaluate
    .command('chat')
    .description('ask every conversation of a file, turn by turn')
    .requiredOption('--model <model>', 'a path, or the name or id of a known model')
    .requiredOption('--questions <file>', 'a .jsonl file; each line has "turns", and may have "system"')
    .requiredOption('--out <file>', 'the .jsonl file to write: the same lines with "answers" and "stopReasons"')
    .option('--temperature <t>', 'how freely it picks: 0 is the likeliest token', real(0, 5), 0)
    .option('--repeat-penalty <x>', '1 switches it off', real(0.5, 2), 1)
    .option('--max-tokens <n>', 'of each answer', whole(1, 1_000_000), 512)
    .option('--seed <n>', 'the same seed gives the same answers', whole(0, 0xffff_ffff), 0)
    .option('--threads <n>', 'of the CPU; otherwise as set', whole(1, 512))
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & EvaluateChatArguments) => evaluateChat(contextOf(options), options));

  evaluate
    .command('perplexity')
    .description('how surprised a model is by a text: lower is better')
    .requiredOption('--model <model>', 'a Hugging Face folder, or the name or id of a known model')
    .requiredOption('--text <file>', 'a plain text file')
    .option('--window <tokens>', 'tokens that are read in one go', whole(2, 1_000_000), 512)
    .addOption(new Option('--precision <p>', 'f32 products, or 8-bit ones').choices(['exact', 'fast']).default('fast'))
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & PerplexityArguments) => evaluatePerplexity(contextOf(options), options));

  evaluate
    .command('audio')
    .description('write every stage of a text-to-audio model that the inputs determine, in full precision')
    .requiredOption('--model <model>', 'a Stable Audio folder or file, or the name or id of a known model')
    .requiredOption(
      '--inputs <file>',
      'an .npz with any of input_ids, attention_mask, seconds_start, seconds_total, latents, timestep, sigmas, step_noise, audio',
    )
    .requiredOption('--out <file>', 'the .npz file to write')
    .option('--text-encoder <folder>', "T5's folder, where it is not beside the model")
    .option('--sampler <name>', "for the denoised latents; the model's default otherwise")
    .option('--cfg <scale>', 'guidance away from no prompt, for the denoised latents', real(0, 100), 1)
    .addOption(
      new Option('--weights <type>', 'how matrices are held').choices(['f32', 'bf16', 'q8', 'lut4']).default('f32'),
    )
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & EvaluateAudioArguments) => evaluateAudio(contextOf(options), options));

  evaluate
    .command('vision')
    .description('write every stage of a model that looks that the inputs determine, in full precision')
    .requiredOption('--model <model>', 'a folder of an EVLM, mllama or mPLUG-Owl3, or the name or id of a known model')
    .option(
      '--inputs <file>',
      'an .npz with any of pixel_values, aspect_ratio_ids, aspect_ratio_mask, cross_attention_mask, input_ids, attention_mask, media_offset',
    )
    .option('--image <file>', "a picture in the place of pixel_values; alone, only the processor's arrays are written")
    .requiredOption('--out <file>', 'the .npz file to write')
    .addOption(json())
    .addOption(data())
    .action((options: GlobalOptions & EvaluateVisionArguments) => evaluateVision(contextOf(options), options));

  program
    .command('quantize')
    .description('make a smaller copy of a model; what was stopped goes on when it is called again')
    .argument('<source>', 'a Hugging Face folder with weights in 16 or 32 bits')
    .argument('<destination>', 'the folder to make')
    .addOption(new Option('--bits <n>', 'bits of a weight').choices(['2', '3', '4']).default('4'))
    .addOption(
      new Option('--group-size <n>', 'weights that share a scale').choices(['32', '64', '128', '256']).default('64'),
    )
    .addOption(
      new Option('--table <t>', 'NormalFloat, or fitted to the weights').choices(['nf', 'learned']).default('learned'),
    )
    .option('--skip <pattern...>', 'tensors that stay as they are; * stands for anything', [])
    .option('--calibrate <file>', 'a text like those the model will read: shows which inputs matter')
    .addOption(json())
    .addOption(data())
    .action((source: string, destination: string, options: GlobalOptions & QuantizeArguments) =>
      quantize(contextOf(options), { ...options, source, destination }),
    );

  program
    .command('recover')
    .description('get a damaged data folder going again; nothing is deleted')
    .addOption(new Option('--restore-newest', 'go back to the newest good backup').conflicts('startFresh'))
    .addOption(new Option('--start-fresh', 'begin with empty data'))
    .addOption(data())
    .action((options: GlobalOptions & { restoreNewest?: boolean; startFresh?: boolean }) =>
      recover(contextOf(options), options.startFresh === true ? 'start-fresh' : 'restore-newest'),
    );
  for (const command of [...program.commands, ...models.commands, ...evaluate.commands])
    command.exitOverride().showHelpAfterError();
  return program;
}

export interface AudioArguments {
  readonly model?: string;
  readonly prompt?: string;
  readonly negative?: string;
  readonly seconds?: number;
  readonly steps?: number;
  readonly cfg?: number;
  readonly cfgRescale?: number;
  readonly sampler?: string;
  readonly sigmaMin?: number;
  readonly sigmaMax?: number;
  readonly rho?: number;
  readonly seed?: number;
  readonly takes?: number;
  readonly init?: string;
  readonly strength?: number;
  readonly region?: string;
  readonly textEncoder?: string;
  readonly weights?: 'f32' | 'bf16' | 'q8' | 'lut4';
  readonly normalize: 'off' | 'peak' | 'safe';
  readonly bitDepth: '16' | '24' | '32';
  readonly from?: string;
  readonly out: string;
}

export interface CaptionArguments {
  readonly paths: readonly string[];
  readonly model: string;
  readonly prompt?: string;
  readonly preset?: CaptionPreset;
  readonly format: CaptionFormat;
  readonly out?: string;
  readonly recursive?: boolean;
  readonly skipExisting?: boolean;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly avoid?: string[];
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly frames?: number;
  readonly every?: number;
  readonly scenes?: boolean;
}

export interface EvaluateVisionArguments {
  readonly model: string;
  readonly inputs?: string;
  readonly image?: string;
  readonly out: string;
}

export interface EvaluateAudioArguments {
  readonly model: string;
  readonly inputs: string;
  readonly out: string;
  readonly textEncoder?: string;
  readonly sampler?: string;
  readonly cfg: number;
  readonly weights: 'f32' | 'bf16' | 'q8' | 'lut4';
}

export interface EvaluateChatArguments {
  readonly model: string;
  readonly questions: string;
  readonly out: string;
  readonly temperature: number;
  readonly repeatPenalty: number;
  readonly maxTokens: number;
  readonly seed: number;
  readonly threads?: number;
}

export interface PerplexityArguments {
  readonly model: string;
  readonly text: string;
  readonly window: number;
  readonly precision: 'exact' | 'fast';
}

export interface QuantizeArguments {
  readonly bits: string;
  readonly groupSize: string;
  readonly table: 'nf' | 'learned';
  readonly skip: string[];
  readonly calibrate?: string;
}

export interface EvaluateArguments {
  readonly model: string;
  readonly tokens: string;
  readonly out: string;
}

export interface ChatArguments {
  readonly model: string;
  readonly prompt: string;
  readonly system: string;
  readonly maxTokens?: number;
  readonly temperature: number;
  readonly seed?: number;
}
