/** Who watches sounds being made. A slow reader misses steps, never takes. */
import type { z } from 'zod';
import type { audioContract } from '../../contract/audio.ts';
import { EventReader } from '../event-reader.ts';

type AudioWatchEvent = z.infer<(typeof audioContract)['watch']['event']>;

class Watcher {
  #events: AudioWatchEvent[] = [];
  readonly #reader = new EventReader(() => this.#events.shift());

  push(event: AudioWatchEvent): void {
    // Only the newest state of a run counts.
    if (event.type === 'run' || event.type === 'changed')
      this.#events = this.#events.filter(({ type }) => type !== event.type);
    this.#events.push(event);
    this.#reader.wake();
  }

  read(signal: AbortSignal): AsyncGenerator<AudioWatchEvent, void, undefined> {
    return this.#reader.read(signal);
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
