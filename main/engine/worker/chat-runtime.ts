/** Answers in chats, one at a time, by whichever part knows the model's kind; one model is loaded at a time. */
import type { AnswerEvent, AnswerRequest } from '../protocol.ts';
import { Turns } from '../turns.ts';
import { AnswerQueue } from './answer-queue.ts';
import type { ChatBackend, LoadedModel } from './chat-backend.ts';

export interface ChatBackends {
  readonly gguf: ChatBackend;
  /** Hugging Face folders. */
  readonly folder: ChatBackend;
}

export class ChatRuntime {
  readonly #backends: ChatBackends;
  readonly #turns = new Turns();
  #stop: AbortController | null = null;

  constructor(backends: ChatBackends) {
    this.#backends = backends;
  }

  loadedModel(): LoadedModel | null {
    return this.#backends.gguf.loadedModel() ?? this.#backends.folder.loadedModel();
  }

  async *answer(request: AnswerRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, undefined> {
    const giveBack = await this.#turns.take(0, signal);
    const stop = new AbortController();
    const queue = new AnswerQueue();
    const end = (): void => stop.abort();
    signal.addEventListener('abort', end, { once: true });
    this.#stop = stop;
    const work = this.#carryOut(request, stop.signal, queue).then(
      () => queue.end(null),
      (thrown: unknown) => queue.end(thrown),
    );
    try {
      yield* queue.read();
    } finally {
      stop.abort();
      await work;
      signal.removeEventListener('abort', end);
      this.#stop = null;
      giveBack();
    }
  }

  /** The answer in the making ends as if the model had stopped. */
  stop(): void {
    this.#stop?.abort();
  }

  /** Resolves when no answer is in the making. */
  async idle(): Promise<void> {
    const giveBack = await this.#turns.take(0);
    giveBack();
  }

  async unload(): Promise<void> {
    const giveBack = await this.#turns.take(0);
    try {
      await this.#backends.gguf.drop();
      await this.#backends.folder.drop();
    } finally {
      giveBack();
    }
  }

  /** Null when that model is not loaded. */
  measure(
    request: Pick<AnswerRequest, 'modelPath' | 'systemPrompt' | 'history'>,
  ): Promise<{ tokens: number; contextSize: number } | null> {
    return this.#backendOf(request.modelPath).measure(request);
  }

  async #carryOut(request: AnswerRequest, signal: AbortSignal, queue: AnswerQueue): Promise<void> {
    const backend = this.#backendOf(request.modelPath);
    const other = backend === this.#backends.gguf ? this.#backends.folder : this.#backends.gguf;
    await other.drop();
    await backend.carryOut(request, signal, queue);
  }

  #backendOf(path: string): ChatBackend {
    return /\.gguf$/i.test(path) ? this.#backends.gguf : this.#backends.folder;
  }
}
