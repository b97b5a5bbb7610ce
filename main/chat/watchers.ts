/** Who watches a conversation. A slow reader gets larger pieces, never a growing queue. */
import type { ConversationEvent } from '../../contract/chat.ts';
import { EventReader } from '../event-reader.ts';

type Delta = Extract<ConversationEvent, { type: 'delta' }>;

export class Watcher {
  #events: ConversationEvent[] = [];
  readonly #reader = new EventReader(() => this.#events.shift());

  push(event: ConversationEvent): void {
    const last = this.#events.at(-1);
    // A snapshot holds everything that waits before it.
    if (event.type === 'snapshot') this.#events = [];
    if (event.type === 'delta' && last?.type === 'delta' && last.messageId === event.messageId) {
      this.#events[this.#events.length - 1] = joined(last, event);
    } else if (event.type === 'stage' && last?.type === 'stage') this.#events[this.#events.length - 1] = event;
    else this.#events.push(event);
    this.#reader.wake();
  }

  /** Ends after `gone`, or when `signal` fires. */
  async *read(signal: AbortSignal): AsyncGenerator<ConversationEvent, void, undefined> {
    for await (const event of this.#reader.read(signal)) {
      yield event;
      if (event.type === 'gone') return;
    }
  }
}

function joined(first: Delta, second: Delta): Delta {
  return { ...first, text: first.text + second.text, tokensPerSecond: second.tokensPerSecond };
}

export class Watchers {
  readonly #byConversation = new Map<string, Set<Watcher>>();

  tell(conversationId: string, event: ConversationEvent): void {
    for (const watcher of this.#byConversation.get(conversationId) ?? []) watcher.push(event);
  }

  has(conversationId: string): boolean {
    return this.#byConversation.has(conversationId);
  }

  async *watch(
    conversationId: string,
    first: ConversationEvent,
    signal: AbortSignal,
  ): AsyncGenerator<ConversationEvent, void, undefined> {
    const watcher = new Watcher();
    watcher.push(first);
    const group = this.#byConversation.get(conversationId) ?? new Set();
    this.#byConversation.set(conversationId, group.add(watcher));
    try {
      yield* watcher.read(signal);
    } finally {
      group.delete(watcher);
      if (group.size === 0) this.#byConversation.delete(conversationId);
    }
  }
}
