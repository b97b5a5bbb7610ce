/** One bus for "something changed": services publish, `app.events` streams pass it on. */
import type { AppEvent } from '../contract/app.ts';

export class EventBus {
  readonly #listeners = new Set<(event: AppEvent) => void>();

  publish(event: AppEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Returns a function that ends the subscription. */
  subscribe(listener: (event: AppEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
