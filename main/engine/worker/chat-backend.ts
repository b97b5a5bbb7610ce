/** What can answer in a chat: one kind of model file each, one model at a time. */
import { LutraError } from '../../../contract/errors.ts';
import type { z } from 'zod';
import type { AnswerRequest, loadedModelSchema } from '../protocol.ts';
import type { AnswerQueue } from './answer-queue.ts';

export type LoadedModel = z.infer<typeof loadedModelSchema>;

export interface ChatBackend {
  loadedModel(): LoadedModel | null;
  /** Answers, loading the model first where it is not; events go to `queue`. Called for one request at a time. */
  carryOut(request: AnswerRequest, signal: AbortSignal, queue: AnswerQueue): Promise<void>;
  /** Null when that model is not loaded. */
  measure(
    request: Pick<AnswerRequest, 'modelPath' | 'systemPrompt' | 'history'>,
  ): Promise<{ tokens: number; contextSize: number } | null>;
  /** Gives the model's memory back. */
  drop(): Promise<void>;
}

/** Room that an answer needs at least. */
export const smallestAnswerTokens = 8;
const speedWindowTokens = 40;

/** Tokens per second over the last few. */
export function recentSpeed(times: readonly number[]): number {
  const window = times.slice(-speedWindowTokens);
  const [first, last] = [window[0], window.at(-1)];
  if (first === undefined || last === undefined || last <= first) return 0;
  return ((window.length - 1) * 1000) / (last - first);
}

export function tooLong(tokens: number, contextSize: number): LutraError {
  return new LutraError({
    code: 'bad-input',
    message: `This chat takes ${tokens} tokens, but the context holds ${contextSize}.`,
    hint: 'Raise the context size in the chat’s settings, shorten the message, or go on from an earlier one.',
    subject: 'contextSize',
  });
}

export function outOfMemory({ modelName, contextSize }: AnswerRequest, cause?: unknown): LutraError {
  const context = contextSize === null ? '' : ` with ${contextSize} tokens of context`;
  return new LutraError(
    {
      code: 'out-of-memory',
      message: `There is not enough free memory for "${modelName}"${context}.`,
      hint: 'Close other programs, choose a smaller model or a heavier quantization, or lower the context size.',
      subject: modelName,
    },
    { cause },
  );
}
