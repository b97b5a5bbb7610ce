/** The waiting half of a queue of events: who owns it decides what is kept and what a newer event replaces. */
export class EventReader<Event> {
  readonly #next: () => Event | undefined;
  #wake: (() => void) | null = null;

  /** `next` takes the first event out of the queue; undefined where there is none. */
  constructor(next: () => Event | undefined) {
    this.#next = next;
  }

  /** Called after something was added. */
  wake(): void {
    this.#wake?.();
  }

  /** Ends when `signal` fires. */
  async *read(signal: AbortSignal): AsyncGenerator<Event, void, undefined> {
    const onAbort = (): void => this.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const event = this.#next();
        if (event === undefined) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = null;
        } else yield event;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
