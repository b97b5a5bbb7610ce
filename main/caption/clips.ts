/** Who decodes a clip: a page that can, in its sandbox; else the system's ffmpeg. */
import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import type { ClipFacts, ClipFrame, ClipRequest } from '../../contract/caption.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { sceneFrame } from '../../contract/sampling.ts';
import { clipFacts, clipFrames, frameSize } from '../media/clip.ts';
import { ffmpegHint } from '../media/ffmpeg.ts';
import type { CaptionWatchers, Watcher } from './watchers.ts';

/** A clip that is open for a while. */
export interface ClipReader {
  readonly facts: ClipFacts;
  /** The frames shown at `seconds`, which ascend, no side longer than `maxSide`. */
  frames(seconds: readonly number[], maxSide: number): Promise<ClipFrame[]>;
  /** The same as `rgba` of `sceneFrame`'s size. */
  small(seconds: readonly number[]): AsyncIterable<ClipFrame>;
}

export interface ClipFile {
  /** Null outside of the list: no page can read it. */
  readonly itemId: string | null;
  readonly path: string;
  readonly name: string;
}

/** So many frames are asked for at a time. */
const pieceOfFrames = 8;
const pieceOfSmall = 240;
/** A page that gives nothing for so long is given up on. */
const patienceMs = 30_000;

/** Through the system's ffmpeg. Fails as `clipFacts` does. */
export async function openWithFfmpeg(path: string, signal: AbortSignal): Promise<ClipReader> {
  const facts = await clipFacts(path, { signal });
  return {
    facts,
    frames: async (seconds, maxSide) => {
      const frames: ClipFrame[] = [];
      for await (const frame of clipFrames(path, seconds, frameSize(facts, maxSide), { signal })) frames.push(frame);
      return frames;
    },
    small: (seconds) => {
      const { width, height } = sceneFrame;
      return clipFrames(path, seconds, { width, height, encoding: 'rgba' }, { signal });
    },
  };
}

interface Asked {
  readonly request: ClipRequest;
  readonly watcher: Watcher;
  readonly frames: ClipFrame[];
  readonly finish: (answer: ClipFacts | ClipFrame[]) => void;
  readonly fail: (error: LutraError) => void;
  timer: NodeJS.Timeout;
}

/** Asks pages for what they can decode. */
export class ClipDesk {
  readonly #watchers: CaptionWatchers;
  readonly #asked = new Map<string, Asked>();

  constructor(watchers: CaptionWatchers) {
    this.#watchers = watchers;
    watchers.onGone = (watcher) => {
      for (const asked of this.#asked.values()) if (asked.watcher === watcher) asked.fail(pageGone());
    };
  }

  /** Where the page cannot, ffmpeg is tried; where neither can, the page's reason is told with how to get ffmpeg. */
  async open(file: ClipFile, signal: AbortSignal): Promise<ClipReader> {
    const watcher = file.itemId === null ? null : this.#watchers.decoder();
    if (watcher === null) return openWithFfmpeg(file.path, signal);
    const asked = await this.#ask(watcher, file, { type: 'facts' }, signal).catch((thrown: unknown) => {
      signal.throwIfAborted();
      return asLutraError(thrown);
    });
    if (asked instanceof LutraError) return insteadOf(asked, file, signal);
    if (Array.isArray(asked))
      throw new LutraError({ code: 'internal', message: 'The window answered something else.' });
    return this.#pageReader(watcher, file, asked, signal);
  }

  giveFacts(requestId: string, facts: ClipFacts): void {
    const asked = this.#asked.get(requestId);
    if (asked?.request.want.type === 'facts') asked.finish(facts);
  }

  giveFrames(requestId: string, frames: readonly ClipFrame[], isLast: boolean): void {
    const asked = this.#asked.get(requestId);
    if (asked === undefined || asked.request.want.type === 'facts') return;
    asked.timer.refresh();
    const wanted = asked.request.want.seconds.length;
    asked.frames.push(...frames.slice(0, wanted - asked.frames.length));
    if (asked.frames.length === wanted) asked.finish(asked.frames);
    else if (isLast)
      asked.fail(new LutraError({ code: 'bad-file', message: `"${asked.request.name}" ended too early.` }));
  }

  fail(requestId: string, error: ErrorData): void {
    this.#asked.get(requestId)?.fail(new LutraError(error));
  }

  /** Where the page stops in the middle, ffmpeg takes over. */
  #pageReader(watcher: Watcher, file: ClipFile, facts: ClipFacts, signal: AbortSignal): ClipReader {
    let other: Promise<ClipReader> | null = null;
    const ask = async (want: Exclude<ClipRequest['want'], { type: 'facts' }>): Promise<ClipFrame[] | ClipReader> => {
      if (other !== null) return other;
      try {
        const answer = await this.#ask(watcher, file, want, signal);
        return Array.isArray(answer) ? answer : [];
      } catch (thrown) {
        signal.throwIfAborted();
        other = insteadOf(asLutraError(thrown), file, signal);
        return other;
      }
    };
    return {
      facts,
      frames: async (seconds, maxSide) => {
        const all: ClipFrame[] = [];
        for (const piece of pieces(seconds, pieceOfFrames)) {
          const answer = await ask({ type: 'frames', seconds: piece, maxSide });
          all.push(...(Array.isArray(answer) ? answer : await answer.frames(piece, maxSide)));
        }
        return all;
      },
      small: async function* (seconds) {
        const { width, height } = sceneFrame;
        for (const piece of pieces(seconds, pieceOfSmall)) {
          const answer = await ask({ type: 'small', seconds: piece, width, height });
          for await (const frame of Array.isArray(answer) ? answer : answer.small(piece)) {
            if (frame.bytes.length !== width * height * 4 || frame.encoding !== 'rgba')
              throw new LutraError({ code: 'internal', message: `A frame of "${file.name}" has a wrong size.` });
            yield frame;
          }
        }
      },
    };
  }

  #ask(
    watcher: Watcher,
    file: ClipFile,
    want: ClipRequest['want'],
    signal: AbortSignal,
  ): Promise<ClipFacts | ClipFrame[]> {
    const requestId = randomUUID();
    const request: ClipRequest = { requestId, itemId: file.itemId ?? '', name: file.name, want };
    const { promise, resolve, reject } = Promise.withResolvers<ClipFacts | ClipFrame[]>();
    const end = (settle: () => void): void => {
      const asked = this.#asked.get(requestId);
      if (asked === undefined) return;
      clearTimeout(asked.timer);
      this.#asked.delete(requestId);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const fail = (error: LutraError): void => end(() => reject(error));
    const onAbort = (): void => {
      watcher.push({ type: 'unwanted', requestId });
      fail(new LutraError({ code: 'cancelled', message: 'Cancelled.' }));
    };
    const timer = setTimeout(() => {
      watcher.push({ type: 'unwanted', requestId });
      fail(
        new LutraError({
          code: 'not-supported',
          message: `The window did not decode "${basename(file.path)}" in time.`,
        }),
      );
    }, patienceMs);
    timer.unref();
    this.#asked.set(requestId, {
      request,
      watcher,
      frames: [],
      timer,
      fail,
      finish: (answer) => end(() => resolve(answer)),
    });
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener('abort', onAbort, { once: true });
      watcher.push({ type: 'wanted', request });
    }
    return promise;
  }
}

/** What a page cannot decode, through ffmpeg. Where that fails, too, the page's words are told: they name the codec. */
async function insteadOf(refusal: LutraError, { path }: ClipFile, signal: AbortSignal): Promise<ClipReader> {
  return openWithFfmpeg(path, signal).catch((thrown: unknown) => {
    signal.throwIfAborted();
    const { code, hint } = toErrorData(thrown);
    // A window that was closed, or that took too long, has not judged the file: it names none.
    if (refusal.subject === undefined && code !== 'not-supported') throw thrown;
    const hints = [refusal.hint, hint === ffmpegHint ? hint : undefined].filter((part) => part !== undefined);
    const told = hints.length === 0 ? {} : { hint: hints.join(' ') };
    throw new LutraError({ ...refusal.toData(), ...told, subject: path }, { cause: thrown });
  });
}

function* pieces(values: readonly number[], size: number): Generator<number[], void, undefined> {
  for (let first = 0; first < values.length; first += size) yield values.slice(first, first + size);
}

const pageGone = (): LutraError =>
  new LutraError({ code: 'not-supported', message: 'The window that decoded the clip was closed.' });

const asLutraError = (thrown: unknown): LutraError =>
  thrown instanceof LutraError ? thrown : new LutraError(toErrorData(thrown), { cause: thrown });
