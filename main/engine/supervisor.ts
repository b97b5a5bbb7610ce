/** Keeps one engine process going: starts it, queues its work, says why it died, starts it again. */
import { freemem, totalmem } from 'node:os';
import type { EngineReport, EngineStatus } from '../../contract/engine.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { Fit } from '../../contract/models.ts';
import { connect } from '../../contract/rpc/client.ts';
import type { EngineProcess, SpawnEngine } from '../host.ts';
import { describeCrash } from './crash.ts';
import type { EngineExit } from './crash.ts';
import { priorities } from './engine.ts';
import type { Engine, ShrunkPicture, WorkOptions } from './engine.ts';
import { engineProtocol } from './protocol.ts';
import type { QuantizedSize, VisionDescription } from './addon.ts';
import type {
  AnswerEvent,
  AnswerRequest,
  AudioEvaluate,
  AudioEvent,
  AudioRequest,
  ComputeOptions,
  DescribedAudio,
  EngineClient,
  Inspection,
  PerplexityEvent,
  PerplexityRequest,
  PictureSource,
  QuantizeEvent,
  QuantizeRequest,
  QuantizeRun,
  VisionEvaluate,
  VisionEvent,
  VisionRequest,
} from './protocol.ts';
import { Turns } from './turns.ts';

export interface SupervisorOptions {
  readonly spawn: SpawnEngine;
  /** Minutes without use after which the model leaves memory; null: never. */
  readonly unloadAfterMinutes: () => number | null;
  /** The compute device that the process should use; another one needs another process. */
  readonly device: () => ComputeOptions['device'];
  /** How long an answer that was told to stop may take to end well; then it is ended the hard way. */
  readonly stopPatienceMs?: number;
}

interface Running {
  readonly process: EngineProcess;
  readonly client: EngineClient;
  readonly device: ComputeOptions['device'];
  readonly exited: Promise<EngineExit>;
  /** True when we ended it ourselves: no crash. */
  isEnding: boolean;
  report: EngineReport | null;
}

/** Together under a second: to end well, and then to end at all before the process is ended. */
const usualStopPatienceMs = 750;
const cancelPatienceMs = 200;
const pollIntervalMs = 2000;
const speedIntervalMs = 300;
const firstBackoffMs = 250;
const longestBackoffMs = 15_000;
const crashWindowMs = 60_000;
/** So many crashes in one window, and it stays down until it is asked for again by hand. */
const crashLimit = 6;

export class EngineSupervisor implements Engine {
  readonly #options: SupervisorOptions;
  readonly #turns = new Turns();
  readonly #listeners = new Set<(status: EngineStatus) => void>();
  readonly #poll: NodeJS.Timeout;
  #running: Running | null = null;
  #starting: Promise<Running> | null = null;
  #crashes: number[] = [];
  #isDisposed = false;
  #lastUseAt = Date.now();
  #speedToldAt = 0;
  #doing: string | null = null;
  #status: EngineStatus;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#status = {
      state: 'stopped',
      pid: null,
      restarts: 0,
      lastCrash: null,
      queueLength: 0,
      loadedModel: null,
      memory: { engineBytes: 0, machineFreeBytes: freemem(), machineTotalBytes: totalmem(), card: null },
      tokensPerSecond: null,
      report: null,
    };
    this.#poll = setInterval(() => void this.#lookAfter(), pollIntervalMs);
    this.#poll.unref();
  }

  status(): EngineStatus {
    return this.#status;
  }

  onStatus(listener: (status: EngineStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async *answer(request: AnswerRequest, options: WorkOptions = {}): AsyncGenerator<AnswerEvent, void, undefined> {
    const { signal, priority = priorities.interactive } = options;
    if (this.#turns.isTaken) {
      yield { type: 'stage', stage: { stage: 'queued', fraction: null, etaSeconds: null } };
    }
    const turn = this.#turns.take(priority, signal);
    this.#change({ queueLength: this.#turns.waiting });
    let giveBack: () => void;
    try {
      giveBack = await turn;
    } finally {
      this.#change({ queueLength: this.#turns.waiting });
    }
    let running: Running | null = null;
    let isComplete = false;
    try {
      running = await this.#withDevice();
      signal?.throwIfAborted();
      this.#doing = `answered with "${request.modelName}"`;
      this.#change({ state: 'busy' });
      const hard = stopThenCancel(running.client, signal, this.#options.stopPatienceMs ?? usualStopPatienceMs);
      for await (const event of running.client.chat.answer(request, { signal: hard })) {
        if (event.type === 'delta') this.#tellSpeed(event.tokensPerSecond);
        if (event.type === 'done') this.#change({ tokensPerSecond: event.stats.tokensPerSecond });
        yield event;
      }
      isComplete = true;
    } catch (thrown) {
      throw running === null ? thrown : await this.#explain(running, thrown, `answered with "${request.modelName}"`);
    } finally {
      if (!isComplete && running !== null) await this.#settle(running);
      this.#doing = null;
      this.#lastUseAt = Date.now();
      if (this.#status.state === 'busy') this.#change({ state: 'ready' });
      giveBack();
      void this.#lookAfter();
    }
  }

  async logits(
    path: string,
    tokens: readonly number[],
    threads: number | null,
    options: WorkOptions = {},
  ): Promise<{ values: Float32Array; vocabSize: number }> {
    const giveBack = await this.#turns.take(options.priority ?? priorities.normal, options.signal);
    const { signal } = options;
    try {
      const { bytes, vocabSize } = await this.#call(`evaluated "${path}"`, (client) =>
        client.evaluate.logits({ path, tokens: [...tokens], threads }, signal === undefined ? {} : { signal }),
      );
      // A copy: a view needs its bytes aligned.
      return { values: new Float32Array(Uint8Array.from(bytes).buffer), vocabSize };
    } finally {
      giveBack();
    }
  }

  predictQuantized(request: QuantizeRequest): Promise<QuantizedSize> {
    return this.#call(`looked at "${request.source}"`, (client) => client.quantize.predict(request));
  }

  quantize(request: QuantizeRun, options: WorkOptions = {}): AsyncGenerator<QuantizeEvent, void, undefined> {
    return this.#queued(`quantized "${request.source}"`, options, (client, signal) =>
      client.quantize.run(request, { signal }),
    );
  }

  perplexity(request: PerplexityRequest, options: WorkOptions = {}): AsyncGenerator<PerplexityEvent, void, undefined> {
    return this.#queued(`evaluated "${request.path}"`, options, (client, signal) =>
      client.evaluate.perplexity(request, { signal }),
    );
  }

  generateAudio(request: AudioRequest, options: WorkOptions = {}): AsyncGenerator<AudioEvent, void, undefined> {
    return this.#queued(`made a sound with "${request.model.name}"`, options, (client, signal) =>
      client.audio.generate(request, { signal }),
    );
  }

  async evaluateAudio(request: AudioEvaluate, options: WorkOptions = {}): Promise<string[]> {
    const giveBack = await this.#turns.take(options.priority ?? priorities.normal, options.signal);
    try {
      const { stages } = await this.#call(`evaluated "${request.model.path}"`, (client) =>
        client.audio.evaluate(request),
      );
      return stages;
    } finally {
      giveBack();
    }
  }

  async evaluateVision(request: VisionEvaluate, options: WorkOptions = {}): Promise<string[]> {
    const giveBack = await this.#turns.take(options.priority ?? priorities.normal, options.signal);
    try {
      const { stages } = await this.#call(`evaluated "${request.path}"`, (client) => client.evaluate.vision(request));
      return stages;
    } finally {
      giveBack();
    }
  }

  describeAudio(path: string, textEncoder: string): Promise<DescribedAudio> {
    return this.#call(`looked at "${path}"`, (client) => client.audio.describe({ path, textEncoder }));
  }

  write(request: VisionRequest, options: WorkOptions = {}): AsyncGenerator<VisionEvent, void, undefined> {
    return this.#queued(`captioned with "${request.model.name}"`, options, (client, signal) =>
      client.vision.write(request, { signal }),
    );
  }

  describeVision(path: string): Promise<VisionDescription> {
    return this.#call(`looked at "${path}"`, (client) => client.vision.describe({ path }));
  }

  shrink(name: string, source: PictureSource, side: number): Promise<ShrunkPicture> {
    return this.#call(`looked at "${name}"`, (client) => client.vision.picture({ name, source, side }));
  }

  /** A stream that waits for its turn. */
  async *#queued<T>(
    doing: string,
    options: WorkOptions,
    begin: (client: EngineClient, signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const giveBack = await this.#turns.take(options.priority ?? priorities.normal, options.signal);
    const signal = options.signal ?? new AbortController().signal;
    try {
      this.#doing = doing;
      this.#change({ state: 'busy' });
      yield* this.#stream(doing, (client) => begin(client, signal));
    } finally {
      this.#doing = null;
      this.#lastUseAt = Date.now();
      if (this.#status.state === 'busy') this.#change({ state: 'ready' });
      giveBack();
    }
  }

  inspect(path: string, options: { signal?: AbortSignal } = {}): Promise<Inspection> {
    return this.#call(`looked at "${path}"`, (client) => client.models.inspect({ path }, options));
  }

  discover(path: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<{ path: string }, void, undefined> {
    return this.#stream(`looked for models in "${path}"`, (client) => client.models.discover({ path }, options));
  }

  hash(
    path: string,
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<{ bytesRead: number; sha256: string | null }, void, undefined> {
    return this.#stream(`read "${path}"`, (client) => client.models.hash({ path }, options));
  }

  fit(path: string, contextLength: number | null, compute: ComputeOptions): Promise<Fit> {
    return this.#call(`estimated the memory of "${path}"`, (client) =>
      client.models.fit({ path, contextLength, compute }),
    );
  }

  /** Null as well when no engine runs: then no model is loaded. */
  async measure(
    request: Pick<AnswerRequest, 'modelPath' | 'systemPrompt' | 'history'>,
  ): Promise<{ tokens: number; contextSize: number } | null> {
    if (this.#running === null) return null;
    return this.#call('counted tokens', (client) => client.chat.measure(request));
  }

  async report(): Promise<EngineReport> {
    const running = await this.#start();
    return running.report ?? this.#readReport(running);
  }

  async unload(): Promise<void> {
    if (this.#running === null) return;
    if (this.#turns.isTaken) {
      throw new LutraError({
        code: 'conflict',
        message: 'The model is in use at the moment.',
        hint: 'Stop the answer first.',
      });
    }
    await this.#call('unloaded the model', (client) => client.engine.unload({}));
    await this.#lookAfter();
  }

  async restart(): Promise<void> {
    this.#crashes = [];
    await this.#end();
    await this.#start();
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#poll);
    await this.#starting?.catch(() => undefined);
    await this.#end();
  }

  async #call<Answer>(doing: string, ask: (client: EngineClient) => Promise<Answer>): Promise<Answer> {
    const running = await this.#start();
    try {
      return await ask(running.client);
    } catch (thrown) {
      throw await this.#explain(running, thrown, doing);
    }
  }

  async *#stream<Event>(
    doing: string,
    open: (client: EngineClient) => AsyncIterable<Event>,
  ): AsyncGenerator<Event, void, undefined> {
    const running = await this.#start();
    try {
      yield* open(running.client);
    } catch (thrown) {
      throw await this.#explain(running, thrown, doing);
    }
  }

  /** A lost connection means a dead process: its end says why. */
  async #explain(running: Running, thrown: unknown, doing: string): Promise<unknown> {
    if (toErrorData(thrown).code !== 'disconnected') return thrown;
    const exit = await running.exited;
    if (!running.isEnding) return new LutraError(describeCrash(exit, doing));
    return new LutraError({
      code: 'cancelled',
      message: `The engine was restarted while it ${doing}.`,
      hint: 'Try again.',
    });
  }

  async #withDevice(): Promise<Running> {
    const running = await this.#start();
    if (running.device === this.#options.device()) return running;
    await this.#end();
    return this.#start();
  }

  #start(): Promise<Running> {
    if (this.#running !== null) return Promise.resolve(this.#running);
    this.#starting ??= this.#spawn().finally(() => (this.#starting = null));
    return this.#starting;
  }

  async #spawn(): Promise<Running> {
    await this.#holdBack();
    this.#change({ state: this.#status.restarts > 0 ? 'restarting' : 'starting' });
    const device = this.#options.device();
    let process: EngineProcess;
    try {
      process = await this.#options.spawn({ env: { GGML_NO_BACKTRACE: '1', LUTRA_ENGINE_DEVICE: device } });
    } catch (thrown) {
      this.#change({ state: 'failed' });
      throw unavailable(toErrorData(thrown).message);
    }
    const { promise: exited, resolve } = Promise.withResolvers<EngineExit>();
    const { client } = connect(engineProtocol, process.transport);
    const running: Running = { process, client, device, exited, isEnding: false, report: null };
    process.onExit = (exit) => {
      resolve(exit);
      this.#gone(running, exit);
    };
    this.#running = running;
    this.#change({ state: 'ready', pid: process.pid });
    void this.#readReport(running).catch(() => undefined);
    return running;
  }

  /** After crashes: waits longer each time, and gives up after too many. */
  async #holdBack(): Promise<void> {
    if (this.#isDisposed) throw unavailable('The studio is closing.');
    this.#crashes = this.#crashes.filter((at) => at > Date.now() - crashWindowMs);
    const count = this.#crashes.length;
    if (count >= crashLimit) {
      this.#change({ state: 'failed' });
      throw unavailable(this.#status.lastCrash?.error.message ?? 'It keeps stopping.');
    }
    if (count === 0) return;
    const waitMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (count - 1));
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (this.#isDisposed) throw unavailable('The studio is closing.');
  }

  async #readReport(running: Running): Promise<EngineReport> {
    try {
      running.report = await running.client.engine.report({});
    } catch (thrown) {
      throw await this.#explain(running, thrown, 'tested itself');
    }
    if (this.#running === running) this.#change({ report: running.report });
    void this.#lookAfter();
    return running.report;
  }

  #gone(running: Running, exit: EngineExit): void {
    if (this.#running === running) this.#running = null;
    if (running.isEnding || this.#isDisposed) {
      this.#change({ state: 'stopped', pid: null, loadedModel: null, report: null });
      return;
    }
    const error: ErrorData = describeCrash(exit, this.#doing);
    this.#crashes.push(Date.now());
    this.#change({
      state: 'restarting',
      pid: null,
      loadedModel: null,
      restarts: this.#status.restarts + 1,
      lastCrash: { at: Date.now(), error },
    });
    this.#start().catch(() => undefined);
  }

  async #end(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    running.isEnding = true;
    this.#running = null;
    running.process.kill();
    await running.exited;
  }

  /** Waits until cancelled work has stopped; a process that does not obey is ended and started again. */
  async #settle(running: Running): Promise<void> {
    if (this.#running !== running) return;
    const timeout = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => timeout.resolve('late'), cancelPatienceMs);
    const idle = running.client.chat.idle({}).catch(() => undefined);
    const outcome = await Promise.race([idle, timeout.promise]);
    clearTimeout(timer);
    if (outcome !== 'late' || this.#running !== running) return;
    await this.#end();
    this.#start().catch(() => undefined);
  }

  /** Memory, the loaded model, and whether it was idle long enough to leave. */
  async #lookAfter(): Promise<void> {
    const running = this.#running;
    const machine = { machineFreeBytes: freemem(), machineTotalBytes: totalmem() };
    if (running === null) {
      this.#change({ memory: { engineBytes: 0, ...machine, card: null } });
      return;
    }
    try {
      const { engineBytes, loadedModel, card } = await running.client.engine.memory({});
      if (this.#running !== running) return;
      const shown =
        loadedModel === null
          ? null
          : (({ name, device, kernel, memoryBytes, cardLayers, note }) => ({
              name,
              device,
              kernel,
              memoryBytes,
              ...(cardLayers === undefined ? {} : { cardLayers }),
              ...(note === undefined ? {} : { note }),
            }))(loadedModel);
      this.#change({ memory: { engineBytes, ...machine, card }, loadedModel: shown });
      const minutes = this.#options.unloadAfterMinutes();
      const isIdle = minutes !== null && !this.#turns.isTaken && Date.now() - this.#lastUseAt > minutes * 60_000;
      if (loadedModel !== null && isIdle) await this.unload();
    } catch {
      // The process ended in between; `#gone` tells of it.
    }
  }

  #tellSpeed(tokensPerSecond: number): void {
    if (Date.now() - this.#speedToldAt < speedIntervalMs) return;
    this.#speedToldAt = Date.now();
    this.#change({ tokensPerSecond });
  }

  #change(part: Partial<EngineStatus>): void {
    const isNew = Object.entries(part).some(
      ([key, value]) => JSON.stringify(this.#status[key as keyof EngineStatus]) !== JSON.stringify(value),
    );
    if (!isNew) return;
    this.#status = { ...this.#status, ...part };
    for (const listener of this.#listeners) listener(this.#status);
  }
}

/** When `signal` fires, the answer is asked to end, which keeps its figures; the signal returned ends it the hard way. */
function stopThenCancel(client: EngineClient, signal: AbortSignal | undefined, patienceMs: number): AbortSignal {
  const hard = new AbortController();
  const stop = (): void => {
    client.chat.stop({}).catch(() => undefined);
    setTimeout(() => hard.abort(), patienceMs).unref();
  };
  if (signal?.aborted === true) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  return hard.signal;
}

function unavailable(reason: string): LutraError {
  return new LutraError({
    code: 'engine-unavailable',
    message: `The engine cannot be started. ${reason}`,
    hint: 'See Settings › Engine, or run "lutra doctor". Restart it there when the cause is gone.',
  });
}
