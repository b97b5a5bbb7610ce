import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { defaultSampler } from '../../../contract/chat.ts';
import type { AnswerStats } from '../../../contract/chat.ts';
import { LutraError } from '../../../contract/errors.ts';
import type { Model } from '../../../contract/models.ts';
import type { Studio } from '../../studio.ts';
import type { ChatArguments, CommandContext } from './program.ts';
import { interruptSignal, printJson, withStudio } from './with-studio.ts';

/** One question, one answer. It is not kept among the chats. */
export async function chat(context: CommandContext, args: ChatArguments): Promise<void> {
  const prompt = args.prompt === '-' ? await readAll(process.stdin) : args.prompt;
  if (prompt.trim() === '')
    throw new LutraError({ code: 'bad-input', message: 'The prompt is empty.', subject: '--prompt' });
  await withStudio(context, async (studio) => {
    const model = await findModel(studio, args.model);
    const { device, threads, chatCache } = studio.settings.get();
    const seed = args.seed ?? randomInt(0x1_0000_0000);
    const events = studio.engine.answer(
      {
        modelPath: studio.models.pathOf(model.id),
        modelName: model.name,
        compute: { device, threads, chatCache },
        contextSize: null,
        systemPrompt: args.system,
        history: [{ role: 'user', text: prompt }],
        sampler: { ...defaultSampler, temperature: args.temperature, maxTokens: args.maxTokens ?? null, seed },
        seed,
      },
      { signal: interruptSignal() },
    );
    let text = '';
    let stats: AnswerStats | null = null;
    for await (const event of events) {
      if (event.type === 'delta') {
        text += event.text;
        if (!context.json) process.stdout.write(event.text);
      } else if (event.type === 'done') stats = event.stats;
    }
    if (context.json) printJson({ model: model.name, seed, text, stats });
    else process.stdout.write('\n');
    if (stats !== null && !context.json) process.stderr.write(`${describe(stats)}\n`);
  });
}

function describe(stats: AnswerStats): string {
  const speed = `${stats.generatedTokens} tokens, ${stats.tokensPerSecond.toFixed(1)} tokens/s`;
  return `[${speed}, first after ${Math.round(stats.timeToFirstTokenMs)} ms, seed ${stats.seed}]`;
}

/** A path is added to the known models; anything else is looked up among them. */
async function findModel(studio: Studio, wanted: string): Promise<Model> {
  if (existsSync(wanted)) {
    const [model] = await studio.models.addPath(resolve(wanted));
    if (model !== undefined) return usable(model);
  }
  const models = studio.models.list();
  const matches = models.filter(({ id, name }) => id === wanted || name.toLowerCase() === wanted.toLowerCase());
  const [model, second] = matches;
  if (model === undefined) {
    throw new LutraError({
      code: 'not-found',
      message: `There is no model "${wanted}", and no file of that name.`,
      hint: 'See the known ones with: lutra models',
      subject: '--model',
    });
  }
  if (second !== undefined) {
    throw new LutraError({
      code: 'bad-input',
      message: `${matches.length} models are named "${wanted}".`,
      hint: `Give an id instead: ${matches.map(({ id }) => id).join(', ')}`,
      subject: '--model',
    });
  }
  return usable(model);
}

function usable(model: Model): Model {
  if (model.problem !== null) throw new LutraError(model.problem);
  if (!model.capabilities.includes('chat')) {
    throw new LutraError({ code: 'not-supported', message: `${model.name} is no chat model.`, subject: '--model' });
  }
  return model;
}
