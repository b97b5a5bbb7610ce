/** Who watches captions being made. A slow reader misses steps of a text in the making, never a change of an item. */
import type { z } from 'zod';
import type { CaptionItem, CaptionSummary, captionContract } from '../../contract/caption.ts';
import { EventReader } from '../event-reader.ts';

export type CaptionEvent = z.infer<(typeof captionContract)['watch']['event']>;

/** A summary is made when it is read. */
type PushedEvent = Exclude<CaptionEvent, { type: 'summary' }>;

/** More than this many changed items at once, and a page asks for what it shows instead. */
const mostItems = 200;
/** How long changes are gathered. */
const gatherMs = 100;

export class Watcher {
  readonly canDecodeClips: boolean;
  readonly #summarize: () => CaptionSummary;
  #wantsSummary = true;
  #hasChanged = false;
  readonly #items = new Map<string, CaptionItem>();
  #writing: Extract<CaptionEvent, { type: 'writing' }> | null = null;
  readonly #asked: CaptionEvent[] = [];
  readonly #reader = new EventReader<CaptionEvent>(() => this.#next());
  #timer: NodeJS.Timeout | null = null;
  #isReady = true;
  #hasTold = false;

  /** `summarize` is called when there is a reader for it, at most a few times a second. */
  constructor(canDecodeClips: boolean, summarize: () => CaptionSummary) {
    this.canDecodeClips = canDecodeClips;
    this.#summarize = summarize;
  }

  push(event: PushedEvent): void {
    switch (event.type) {
      case 'changed':
        this.#hasChanged = true;
        this.#items.clear();
        break;
      case 'items':
        if (this.#hasChanged) break;
        for (const item of event.items) this.#items.set(item.id, item);
        if (this.#items.size > mostItems) {
          this.#hasChanged = true;
          this.#items.clear();
        }
        break;
      case 'writing':
        this.#writing = event;
        break;
      default:
        // What a page is asked for does not wait.
        this.#asked.push(event);
        this.#reader.wake();
        return;
    }
    this.#wake();
  }

  pushSummary(): void {
    this.#wantsSummary = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#isReady) this.#reader.wake();
  }

  async *read(signal: AbortSignal): AsyncGenerator<CaptionEvent, void, undefined> {
    try {
      yield* this.#reader.read(signal);
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer);
    }
  }

  #next(): CaptionEvent | undefined {
    const asked = this.#asked.shift();
    if (asked !== undefined) return asked;
    if (!this.#isReady) return undefined;
    const event = this.#gathered();
    if (event !== undefined) this.#hasTold = true;
    else if (this.#hasTold) this.#rest();
    return event;
  }

  #gathered(): CaptionEvent | undefined {
    if (this.#hasChanged) {
      this.#hasChanged = false;
      return { type: 'changed' };
    }
    if (this.#items.size > 0) {
      const items = [...this.#items.values()];
      this.#items.clear();
      return { type: 'items', items };
    }
    if (this.#writing !== null) {
      const event = this.#writing;
      this.#writing = null;
      return event;
    }
    if (!this.#wantsSummary) return undefined;
    this.#wantsSummary = false;
    return { type: 'summary', summary: this.#summarize() };
  }

  /** All was told: what comes now is gathered for a while. */
  #rest(): void {
    this.#isReady = false;
    this.#hasTold = false;
    this.#timer = setTimeout(() => {
      this.#isReady = true;
      this.#reader.wake();
    }, gatherMs);
    this.#timer.unref();
  }
}

export class CaptionWatchers {
  readonly #all = new Set<Watcher>();
  readonly #summarize: () => CaptionSummary;
  /** Called when a page that could decode is gone. */
  onGone: ((watcher: Watcher) => void) | null = null;

  constructor(summarize: () => CaptionSummary) {
    this.#summarize = summarize;
  }

  tell(event: PushedEvent): void {
    for (const watcher of this.#all) watcher.push(event);
  }

  tellSummary(): void {
    for (const watcher of this.#all) watcher.pushSummary();
  }

  /** The newest page that can decode clips. */
  decoder(): Watcher | null {
    return [...this.#all].findLast(({ canDecodeClips }) => canDecodeClips) ?? null;
  }

  /** Begins with the summary. */
  async *watch(canDecodeClips: boolean, signal: AbortSignal): AsyncGenerator<CaptionEvent, void, undefined> {
    const watcher = new Watcher(canDecodeClips, this.#summarize);
    this.#all.add(watcher);
    try {
      yield* watcher.read(signal);
    } finally {
      this.#all.delete(watcher);
      this.onGone?.(watcher);
    }
  }
}
