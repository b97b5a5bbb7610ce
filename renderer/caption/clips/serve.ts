/** Answers what main wants to know of clips: the worker decodes, this passes bytes in and frames out. */
import type { ClipRequest } from '../../../contract/caption.ts';
import { toErrorData } from '../../../contract/errors.ts';
import type { StudioClient } from '../../client/studio.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** What one `read` of the contract gives at the most. */
const longestRead = 8 * 2 ** 20;

export class ClipDecoder {
  readonly #client: StudioClient;
  readonly #requests = new Map<string, ClipRequest>();
  /** One clip after another: two at once would only be slower together. */
  #queue: Promise<void> = Promise.resolve();
  #worker: Worker | null = null;
  readonly #ends = new Map<string, () => void>();
  /** Answers of one request go out in order. */
  #sending: Promise<unknown> = Promise.resolve();

  constructor(client: StudioClient) {
    this.#client = client;
  }

  take(request: ClipRequest): void {
    this.#requests.set(request.requestId, request);
    this.#queue = this.#queue.then(() => this.#decode(request));
  }

  /** Its answer is of no use any more. */
  drop(requestId: string): void {
    this.#requests.delete(requestId);
    this.#post({ type: 'drop', requestId });
    this.#ends.get(requestId)?.();
  }

  dispose(): void {
    this.#requests.clear();
    for (const end of this.#ends.values()) end();
    this.#worker?.terminate();
    this.#worker = null;
  }

  async #decode(request: ClipRequest): Promise<void> {
    const { requestId, itemId } = request;
    if (!this.#requests.has(requestId)) return;
    try {
      const { sizeBytes } = await this.#client.caption.read({ itemId, offset: 0, length: 1 });
      if (!this.#requests.has(requestId)) return;
      const ended = new Promise<void>((resolve) => this.#ends.set(requestId, resolve));
      this.#post({ type: 'decode', request, sizeBytes });
      await ended;
    } catch (thrown) {
      this.#fail(requestId, thrown);
    } finally {
      this.#ends.delete(requestId);
      this.#requests.delete(requestId);
    }
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    if (this.#worker === null) {
      if (message.type !== 'decode') return;
      this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
      this.#worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => void this.#take(data));
      this.#worker.addEventListener('error', (event) => this.#broke(event.message));
    }
    this.#worker.postMessage(message, transfer);
  }

  async #take(message: FromWorker): Promise<void> {
    const { requestId } = message;
    const request = this.#requests.get(requestId);
    switch (message.type) {
      case 'read':
        return this.#read(request, message.readId, message.start, message.end);
      case 'facts':
        return this.#answer(requestId, true, () => this.#client.caption.giveFacts({ requestId, facts: message.facts }));
      case 'frames': {
        const { frames, isLast } = message;
        return this.#answer(requestId, isLast, () => this.#client.caption.giveFrames({ requestId, frames, isLast }));
      }
      case 'failed':
        return this.#answer(requestId, true, () => this.#client.caption.failClip({ requestId, error: message.error }));
    }
  }

  /** Passes an answer on, after those before it; a request that main gave up meanwhile ends in silence. */
  async #answer(requestId: string, isLast: boolean, send: () => Promise<unknown>): Promise<void> {
    if (!this.#requests.has(requestId)) return;
    this.#sending = this.#sending.then(send).catch(() => this.drop(requestId));
    await this.#sending;
    if (isLast) this.#ends.get(requestId)?.();
  }

  async #read(request: ClipRequest | undefined, readId: number, start: number, end: number): Promise<void> {
    try {
      if (request === undefined) throw new Error('It is of no use any more.');
      const pieces: Uint8Array[] = [];
      for (let offset = start; offset < end;) {
        const length = Math.min(longestRead, end - offset);
        const { bytes } = await this.#client.caption.read({ itemId: request.itemId, offset, length });
        if (bytes.length === 0) throw new Error(`The file ends at byte ${offset}.`);
        pieces.push(bytes);
        offset += bytes.length;
      }
      const bytes = joined(pieces, end - start);
      this.#post({ type: 'bytes', readId, bytes }, [bytes.buffer]);
    } catch (thrown) {
      this.#post({ type: 'unreadable', readId, message: toErrorData(thrown).message });
    }
  }

  #fail(requestId: string, thrown: unknown): void {
    this.#client.caption.failClip({ requestId, error: toErrorData(thrown) }).catch(() => undefined);
  }

  /** The worker itself fell over, out of memory at most: what it was at fails, the next clip gets a new one. */
  #broke(message: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    for (const [requestId, end] of this.#ends) {
      this.#fail(requestId, new Error(message === '' ? 'The decoder of clips stopped.' : message));
      end();
    }
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
