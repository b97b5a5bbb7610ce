/** Answers in the making. They belong to main: a window may close, reload or be joined by another. */
import { randomInt } from 'node:crypto';
import type { AnswerStage, AnswerStats, Conversation, Message } from '../../contract/chat.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { Model } from '../../contract/models.ts';
import type { Engine } from '../engine/engine.ts';
import type { AnswerRequest, ComputeOptions } from '../engine/protocol.ts';
import type { ChatRows, StoredMessage } from './rows.ts';
import type { Watchers } from './watchers.ts';

/** Text reaches the disk at least this often. */
const writeIntervalMs = 500;
const maximumTextLength = 2_000_000;

interface Answering {
  readonly messageId: string;
  readonly abort: AbortController;
  text: string;
  stage: AnswerStage | null;
  writtenAt: number;
  isClosing: boolean;
  finished: Promise<void>;
}

export interface AnswersOptions {
  readonly rows: ChatRows;
  readonly engine: Engine;
  readonly watchers: Watchers;
  /** The answer ended and is stored: tell whoever shows the conversation. */
  readonly onEnd: (conversationId: string, messageId: string) => void;
  /** The store refused to write; the answer goes on. */
  readonly onTrouble: (error: ErrorData) => void;
}

export interface AnswerOrder {
  readonly conversation: Omit<Conversation, 'isAnswering'>;
  readonly messageId: string;
  readonly model: Model;
  readonly modelPath: string;
  readonly compute: ComputeOptions;
  /** From the root to the message that is answered. */
  readonly path: readonly StoredMessage[];
}

export class Answers {
  readonly #options: AnswersOptions;
  readonly #byConversation = new Map<string, Answering>();

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  isAnswering(conversationId: string): boolean {
    return this.#byConversation.has(conversationId);
  }

  /** The text so far, which the store may not have yet. */
  withLiveText<M extends StoredMessage>(message: M): M {
    const live = this.#byConversation.get(message.conversationId);
    return live?.messageId === message.id ? { ...message, text: live.text } : message;
  }

  stage(conversationId: string): { messageId: string; stage: AnswerStage } | null {
    const live = this.#byConversation.get(conversationId);
    return live === undefined || live.stage === null ? null : { messageId: live.messageId, stage: live.stage };
  }

  start(order: AnswerOrder): void {
    const live: Answering = {
      messageId: order.messageId,
      abort: new AbortController(),
      text: '',
      stage: null,
      writtenAt: Date.now(),
      isClosing: false,
      finished: Promise.resolve(),
    };
    this.#byConversation.set(order.conversation.id, live);
    live.finished = this.#carryOut(order, live);
  }

  /** Resolves when the answer has stopped and is stored. */
  async stop(conversationId: string): Promise<void> {
    const live = this.#byConversation.get(conversationId);
    live?.abort.abort();
    await live?.finished;
  }

  /** Stops all; they are kept as interrupted. */
  async dispose(): Promise<void> {
    const all = [...this.#byConversation.values()];
    for (const live of all) {
      live.isClosing = true;
      live.abort.abort();
    }
    await Promise.all(all.map((live) => live.finished));
  }

  async #carryOut(order: AnswerOrder, live: Answering): Promise<void> {
    const { engine } = this.#options;
    const conversationId = order.conversation.id;
    let stats: AnswerStats | null = null;
    let error: ErrorData | null = null;
    // The caller learns the ids before the first event.
    await Promise.resolve();
    try {
      for await (const event of engine.answer(requestOf(order), { signal: live.abort.signal })) {
        if (event.type === 'done') stats = event.stats;
        else if (event.type === 'stage') this.#stage(conversationId, live, event.stage);
        else this.#add(conversationId, live, event.text, event.tokensPerSecond);
      }
    } catch (thrown) {
      error = toErrorData(thrown);
    }
    const status = statusOf(live, stats, error);
    try {
      this.#options.rows.endMessage({
        id: live.messageId,
        text: live.text,
        status,
        error: status === 'failed' ? error : null,
        stats,
      });
    } catch (thrown) {
      this.#options.onTrouble(toErrorData(thrown));
    }
    this.#byConversation.delete(conversationId);
    this.#options.onEnd(conversationId, live.messageId);
  }

  #stage(conversationId: string, live: Answering, stage: AnswerStage): void {
    live.stage = stage;
    this.#options.watchers.tell(conversationId, { type: 'stage', messageId: live.messageId, stage });
  }

  #add(conversationId: string, live: Answering, text: string, tokensPerSecond: number): void {
    live.stage = null;
    const offset = live.text.length;
    live.text = (live.text + text).slice(0, maximumTextLength);
    const { watchers, rows } = this.#options;
    watchers.tell(conversationId, {
      type: 'delta',
      messageId: live.messageId,
      offset,
      text: live.text.slice(offset),
      tokensPerSecond,
    });
    if (Date.now() - live.writtenAt < writeIntervalMs) return;
    live.writtenAt = Date.now();
    try {
      rows.setText(live.messageId, live.text);
    } catch (thrown) {
      this.#options.onTrouble(toErrorData(thrown));
    }
  }
}

function statusOf(live: Answering, stats: AnswerStats | null, error: ErrorData | null): Message['status'] {
  if (live.isClosing) return 'interrupted';
  if (stats?.stopReason === 'stopped' || error?.code === 'cancelled') return 'stopped';
  return error === null ? 'complete' : 'failed';
}

function requestOf({ conversation, model, modelPath, compute, path }: AnswerOrder): AnswerRequest {
  const { sampler, systemPrompt, contextSize } = conversation;
  return {
    modelPath,
    modelName: model.name,
    compute,
    contextSize,
    systemPrompt,
    history: historyOf(path),
    sampler,
    seed: sampler.seed ?? randomInt(0x1_0000_0000),
  };
}

/** Templates want turns in alternation: empty answers are left out, and what then meets is joined. */
export function historyOf(path: readonly Pick<StoredMessage, 'role' | 'text'>[]): AnswerRequest['history'] {
  const history: { role: 'user' | 'assistant'; text: string }[] = [];
  for (const { role, text } of path) {
    if (role === 'assistant' && text.trim() === '') continue;
    const last = history.at(-1);
    if (last?.role === role) last.text += `\n\n${text}`;
    else history.push({ role, text });
  }
  return history;
}
