/** Events for one slow reader: what a newer event replaces is dropped, so that the queue stays short. */
import type { AppEvent } from '../../contract/app.ts';
import { EventReader } from '../event-reader.ts';

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
  readonly #reader = new EventReader(() => this.#take());
  #notices = 0;

  push(event: AppEvent): void {
    const key = keyOf(event, () => this.#notices++);
    // Deleted first, so that it goes to the end of the order.
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
    this.#reader.wake();
  }

  /** Ends when `signal` fires. */
  read(signal: AbortSignal): AsyncGenerator<AppEvent, void, undefined> {
    return this.#reader.read(signal);
  }

  #take(): AppEvent | undefined {
    const [first] = this.#waiting;
    if (first !== undefined) this.#waiting.delete(first[0]);
    return first?.[1];
  }
}
