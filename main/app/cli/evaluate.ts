import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { LutraError } from '../../../contract/errors.ts';
import type { Studio } from '../../studio.ts';
import type {
  CommandContext,
  EvaluateArguments,
  EvaluateAudioArguments,
  EvaluateVisionArguments,
  PerplexityArguments,
} from './program.ts';
import { interruptSignal, printJson, withStudio } from './with-studio.ts';

const tokensSchema = z.array(z.number().int().min(0).max(0x7fff_ffff)).min(1).max(1_000_000);

/** Writes the logits of every position as a .npy file: f32, (tokens, vocabulary). */
export async function evaluateLogits(context: CommandContext, args: EvaluateArguments): Promise<void> {
  const tokens = await readTokens(args.tokens);
  await withStudio(context, async (studio) => {
    const path = pathOf(studio, args.model);
    const { threads } = studio.settings.get();
    const { values, vocabSize } = await studio.engine.logits(path, tokens, threads, { signal: interruptSignal() });
    await writeNpy(args.out, values, [tokens.length, vocabSize]);
    if (context.json) printJson({ model: path, tokens: tokens.length, vocabSize, out: resolve(args.out) });
  });
}

/** Prints the perplexity of a text; progress goes to stderr. */
export async function evaluatePerplexity(context: CommandContext, args: PerplexityArguments): Promise<void> {
  await withStudio(context, async (studio) => {
    const { threads } = studio.settings.get();
    const request = {
      path: pathOf(studio, args.model),
      textPath: resolve(args.text),
      windowTokens: args.window,
      precision: args.precision,
      threads,
    };
    for await (const { done, total, result } of studio.engine.perplexity(request, { signal: interruptSignal() })) {
      if (!context.json && process.stderr.isTTY) process.stderr.write(`\r${done} of ${total} tokens`);
      if (result === null) continue;
      if (context.json) printJson({ model: request.path, ...result });
      else process.stdout.write(`${result.perplexity.toFixed(4)} over ${result.tokens} tokens (${result.kernel})\n`);
    }
  });
}

/** Writes every stage of a text-to-audio model that the inputs determine. */
export async function evaluateAudio(context: CommandContext, args: EvaluateAudioArguments): Promise<void> {
  await withStudio(context, async (studio) => {
    const path = pathOf(studio, args.model);
    const model = {
      path,
      name: path,
      textEncoder: args.textEncoder === undefined ? '' : resolve(args.textEncoder),
      weights: args.weights,
      threads: studio.settings.get().threads,
    };
    const stages = await studio.engine.evaluateAudio({
      model,
      inputs: resolve(args.inputs),
      output: resolve(args.out),
      sampler: args.sampler ?? '',
      guidance: args.cfg,
    });
    if (context.json) printJson({ model: path, stages, out: resolve(args.out) });
    else process.stdout.write(`${stages.join(', ')}: ${resolve(args.out)}\n`);
  });
}

/** Writes every stage of a model that looks that the inputs determine, and what its processor makes of a picture. */
export async function evaluateVision(context: CommandContext, args: EvaluateVisionArguments): Promise<void> {
  if (args.inputs === undefined && args.image === undefined) {
    throw new LutraError({
      code: 'bad-input',
      message: 'There is nothing to look at.',
      hint: 'Give --inputs, --image, or both.',
      subject: '--inputs',
    });
  }
  await withStudio(context, async (studio) => {
    const path = pathOf(studio, args.model);
    const stages = await studio.engine.evaluateVision({
      path,
      inputs: args.inputs === undefined ? null : resolve(args.inputs),
      picture: args.image === undefined ? null : resolve(args.image),
      output: resolve(args.out),
      threads: studio.settings.get().threads,
    });
    if (context.json) printJson({ model: path, stages, out: resolve(args.out) });
    else process.stdout.write(`${stages.join(', ')}: ${resolve(args.out)}\n`);
  });
}

/** A path, or a known model's name or id. Fails with `not-found`. */
export function pathOf(studio: Studio, model: string): string {
  if (existsSync(model)) return resolve(model);
  const known = studio.models.list().find(({ id, name }) => id === model || name === model);
  if (known !== undefined) return studio.models.pathOf(known.id);
  throw new LutraError({
    code: 'not-found',
    message: `There is no folder and no model "${model}".`,
    hint: 'See the known ones with: lutra models',
    subject: '--model',
  });
}

async function readTokens(path: string): Promise<number[]> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (thrown) {
    const why = thrown instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read';
    throw new LutraError(
      {
        code: 'bad-file',
        message: `${path} ${why}.`,
        hint: 'It should hold a JSON array of token ids.',
        subject: '--tokens',
      },
      { cause: thrown },
    );
  }
  const tokens = tokensSchema.safeParse(content);
  if (tokens.success) return tokens.data;
  throw new LutraError({
    code: 'bad-file',
    message: `${path} is no array of token ids.`,
    hint: 'It should look like [1, 15043, 3186].',
    subject: '--tokens',
  });
}

const magic = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
const headerAlignment = 64;

/** NumPy's format, version 1; written under a temporary name and renamed. */
async function writeNpy(path: string, values: Float32Array, shape: readonly number[]): Promise<void> {
  const start = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const unpadded = magic.length + 2 + start.length + 1;
  const header = Buffer.from(
    `${start}${' '.repeat((headerAlignment - (unpadded % headerAlignment)) % headerAlignment)}\n`,
  );
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  const unfinished = `${path}.part`;
  try {
    const data = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    await writeFile(unfinished, Buffer.concat([magic, length, header, data]));
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw new LutraError(
      {
        code: 'file-access',
        message: `${path} cannot be written.`,
        hint: 'Check the folder and the room on the disk.',
        subject: '--out',
      },
      { cause: thrown },
    );
  }
}
