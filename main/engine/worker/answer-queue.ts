/** From callbacks to an async iterable. Stages replace each other, pieces of text run together for a slow reader. */
import type { AnswerEvent } from '../protocol.ts';

export class AnswerQueue {
  readonly #events: AnswerEvent[] = [];
  #wake: (() => void) | null = null;
  #ending: { readonly thrown: unknown } | null = null;

  push(event: AnswerEvent): void {
    const last = this.#events.at(-1);
    if (event.type === 'delta' && last?.type === 'delta') {
      this.#events[this.#events.length - 1] = { ...event, text: last.text + event.text };
    } else if (event.type === 'stage' && last?.type === 'stage') this.#events[this.#events.length - 1] = event;
    else this.#events.push(event);
    this.#wake?.();
  }

  /** `thrown` fails the reader after the last event; null ends it well. */
  end(thrown: unknown): void {
    this.#ending = { thrown };
    this.#wake?.();
  }

  async *read(): AsyncGenerator<AnswerEvent, void, undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      if (this.#ending !== null) {
        if (this.#ending.thrown !== null) throw this.#ending.thrown;
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }
}
