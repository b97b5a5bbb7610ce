/** Who watches sounds being made. A slow reader misses steps, never takes. */
import type { z } from 'zod';
import type { audioContract } from '../../contract/audio.ts';

type AudioWatchEvent = z.infer<(typeof audioContract)['watch']['event']>;

class Watcher {
  #events: AudioWatchEvent[] = [];
  #wake: (() => void) | null = null;

  push(event: AudioWatchEvent): void {
    // Only the newest state of a run counts.
    if (event.type === 'run' || event.type === 'changed')
      this.#events = this.#events.filter(({ type }) => type !== event.type);
    this.#events.push(event);
    this.#wake?.();
  }

  async *read(signal: AbortSignal): AsyncGenerator<AudioWatchEvent, void, undefined> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const event = this.#events.shift();
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

export class AudioWatchers {
  readonly #all = new Set<Watcher>();

  tell(event: AudioWatchEvent): void {
    for (const watcher of this.#all) watcher.push(event);
  }

  async *watch(first: AudioWatchEvent, signal: AbortSignal): AsyncGenerator<AudioWatchEvent, void, undefined> {
    const watcher = new Watcher();
    watcher.push(first);
    this.#all.add(watcher);
    try {
      yield* watcher.read(signal);
    } finally {
      this.#all.delete(watcher);
    }
  }
}
