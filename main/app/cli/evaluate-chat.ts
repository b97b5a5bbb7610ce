import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { defaultSampler } from '../../../contract/chat.ts';
import type { AnswerStats } from '../../../contract/chat.ts';
import { LutraError, toErrorData } from '../../../contract/errors.ts';
import type { AnswerRequest } from '../../engine/protocol.ts';
import type { Studio } from '../../studio.ts';
import { pathOf } from './evaluate.ts';
import type { CommandContext, EvaluateChatArguments } from './program.ts';
import { interruptSignal, printJson, withStudio } from './with-studio.ts';

/** One line of the questions: what a person says, turn after turn. Other fields are handed on to the answers. */
const lineSchema = z.looseObject({
  turns: z.array(z.string().min(1)).min(1).max(100),
  system: z.string().optional(),
});
type Line = z.infer<typeof lineSchema>;

/** Asks every conversation of a .jsonl file through the real engine; each turn sees the model's own earlier answers. */
export async function evaluateChat(context: CommandContext, args: EvaluateChatArguments): Promise<void> {
  await withStudio(context, async (studio) => {
    const path = pathOf(studio, args.model);
    const lines = await readLines(args.questions);
    const signal = interruptSignal();
    const out = resolve(args.out);
    const unfinished = `${out}.part`;
    try {
      const file = createWriteStream(unfinished);
      await once(file, 'open');
      for (const [at, line] of lines.entries()) {
        const answers = await converse(studio, path, line, args, signal);
        file.write(`${JSON.stringify({ ...line, ...answers })}\n`);
        if (!context.json && process.stderr.isTTY) process.stderr.write(`\r${at + 1} of ${lines.length}`);
      }
      file.end();
      await once(file, 'finish');
      await rename(unfinished, out);
    } catch (thrown) {
      await rm(unfinished, { force: true });
      const { code, message } = toErrorData(thrown);
      if (code !== 'file-access') throw thrown;
      throw new LutraError(
        { code, message, hint: 'Check the folder and the room on the disk.', subject: '--out' },
        { cause: thrown },
      );
    }
    if (context.json) printJson({ model: path, conversations: lines.length, out });
    else process.stdout.write(`${lines.length} conversations: ${out}\n`);
  });
}

async function converse(
  studio: Studio,
  path: string,
  { turns, system }: Line,
  args: EvaluateChatArguments,
  signal: AbortSignal,
): Promise<{ answers: string[]; stopReasons: AnswerStats['stopReason'][] }> {
  const { device, threads, chatCache } = studio.settings.get();
  const history: AnswerRequest['history'] = [];
  const answers: string[] = [];
  const stopReasons: AnswerStats['stopReason'][] = [];
  for (const turn of turns) {
    history.push({ role: 'user', text: turn });
    let text = '';
    const request: AnswerRequest = {
      modelPath: path,
      modelName: path,
      compute: { device, threads: args.threads ?? threads, chatCache },
      contextSize: null,
      systemPrompt: system ?? '',
      history,
      sampler: {
        ...defaultSampler,
        temperature: args.temperature,
        repeatPenalty: args.repeatPenalty,
        maxTokens: args.maxTokens,
        seed: args.seed,
      },
      seed: args.seed,
    };
    for await (const event of studio.engine.answer(request, { signal })) {
      if (event.type === 'delta') text += event.text;
      else if (event.type === 'done') stopReasons.push(event.stats.stopReason);
    }
    if (signal.aborted) throw new LutraError({ code: 'cancelled', message: 'Cancelled.' });
    answers.push(text);
    history.push({ role: 'assistant', text });
  }
  return { answers, stopReasons };
}

async function readLines(path: string): Promise<Line[]> {
  const lines: Line[] = [];
  let number = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      number += 1;
      if (text.trim() === '') continue;
      lines.push(lineSchema.parse(JSON.parse(text)));
    }
  } catch (thrown) {
    const isOpen = number > 0;
    throw new LutraError(
      {
        code: 'bad-file',
        message: isOpen ? `Line ${number} of ${path} is no conversation.` : `${path} cannot be read.`,
        hint: 'Each line should look like {"turns": ["What is top-k?", "Where is that?"]}.',
        subject: '--questions',
      },
      { cause: thrown },
    );
  }
  if (lines.length > 0) return lines;
  throw new LutraError({ code: 'bad-input', message: `${path} has no questions.`, subject: '--questions' });
}
