/** Events for one slow reader: what a newer event replaces is dropped, so that the queue stays short. */
import type { AppEvent } from '../../contract/app.ts';

/** Most notices kept for a reader that does not read. */
const maximumNotices = 50;

/** Events with the same key replace each other. Notices are kept apart: each is news. */
function keyOf(event: AppEvent, counter: () => number): string {
  switch (event.type) {
    case 'job':
      return `job ${event.job.id}`;
    case 'notice':
      return `notice ${counter() % maximumNotices}`;
    default:
      return event.type;
  }
}

export class EventQueue {
  readonly #waiting = new Map<string, AppEvent>();
  #wake: (() => void) | null = null;
  #notices = 0;

  push(event: AppEvent): void {
    const key = keyOf(event, () => this.#notices++);
    // Deleted first, so that it goes to the end of the order.
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
    this.#wake?.();
  }

  /** Ends when `signal` fires. */
  async *read(signal: AbortSignal): AsyncGenerator<AppEvent, void, undefined> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const [first] = this.#waiting;
        if (first === undefined) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = null;
          continue;
        }
        this.#waiting.delete(first[0]);
        yield first[1];
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
