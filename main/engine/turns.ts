/** Who may use the engine next: one at a time, by priority, then by arrival. */
import { LutraError } from '../../contract/errors.ts';

interface Waiting {
  readonly priority: number;
  readonly enter: () => void;
}

export class Turns {
  readonly #waiting: Waiting[] = [];
  #isTaken = false;

  get waiting(): number {
    return this.#waiting.length;
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Resolves with a function that gives the turn back. Fails with `cancelled` when `signal` fires before that. */
  async take(priority: number, signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted === true) throw cancelled();
    if (this.#isTaken) await this.#wait(priority, signal);
    this.#isTaken = true;
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      this.#next();
    };
  }

  #wait(priority: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry: Waiting = {
      priority,
      enter: () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      },
    };
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      reject(cancelled());
    };
    signal?.addEventListener('abort', leave, { once: true });
    const before = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(before === -1 ? this.#waiting.length : before, 0, entry);
    return promise;
  }

  /** The turn passes straight on, so that nobody slips in between. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next.enter();
  }
}

function cancelled(): LutraError {
  return new LutraError({ code: 'cancelled', message: 'Cancelled.' });
}
