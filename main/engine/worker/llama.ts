/** GGUF files, through node-llama-cpp: one model and one context, kept between turns. */
import { freemem } from 'node:os';
import { getLlama, InsufficientMemoryError, LlamaChat, LlamaLogLevel, resolveChatWrapper } from 'node-llama-cpp';
import type {
  ChatHistoryItem,
  ChatWrapper,
  Llama,
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
} from 'node-llama-cpp';
import { defaultContextLimit } from '../../../contract/chat.ts';
import type { AnswerStats } from '../../../contract/chat.ts';
import { LutraError } from '../../../contract/errors.ts';
import type { Settings } from '../../../contract/settings.ts';
import type { AnswerRequest } from '../protocol.ts';
import type { AnswerQueue } from './answer-queue.ts';
import { outOfMemory, recentSpeed, smallestAnswerTokens, tooLong } from './chat-backend.ts';
import type { ChatBackend, LoadedModel } from './chat-backend.ts';
import { plainCacheBytes } from './inspect/fit.ts';
import { readGgufHeader, validateGguf } from './inspect/gguf.ts';
import { ThoughtQuoter, withoutThoughts } from './thoughts.ts';

interface Loaded {
  readonly path: string;
  readonly name: string;
  readonly key: string;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly sequence: LlamaContextSequence;
  readonly wrapper: ChatWrapper;
  readonly chat: LlamaChat;
  readonly device: string;
}

const repeatPenaltyTokens = 64;
const readingIntervalMs = 200;

export class LlamaBackend implements ChatBackend {
  readonly #device: Settings['device'];
  #llama: Promise<Llama> | null = null;
  #plain: Promise<Llama> | null = null;
  #loaded: Loaded | null = null;

  constructor(device: Settings['device']) {
    this.#device = device;
  }

  /** Fails with `engine-unavailable` where the prebuilt libraries do not run, or the wanted device is not there. */
  llama(): Promise<Llama> {
    this.#llama ??= openLlama(this.#device).catch((thrown: unknown) => {
      this.#llama = null;
      throw thrown;
    });
    return this.#llama;
  }

  /**
   * The same libraries for our own engine. Where the prebuilt ones have no CUDA, our engine may still have: then those
   * of the CPU do, and only GGUF models fail.
   */
  libraries(): Promise<Llama> {
    if (this.#device !== 'cuda') return this.llama();
    this.#plain ??= this.llama().catch(() => openLlama('cpu'));
    return this.#plain;
  }

  loadedModel(): LoadedModel | null {
    if (this.#loaded === null) return null;
    const { path, name, device, model, context } = this.#loaded;
    return {
      path,
      name,
      device,
      kernel: null,
      memoryBytes: model.size + context.stateSize,
      contextSize: context.contextSize,
    };
  }

  /** Null when that model is not loaded. */
  async measure({
    modelPath,
    systemPrompt,
    history,
  }: Pick<AnswerRequest, 'modelPath' | 'systemPrompt' | 'history'>): Promise<{
    tokens: number;
    contextSize: number;
  } | null> {
    const loaded = this.#loaded;
    if (loaded === null || loaded.path !== modelPath) return null;
    return {
      tokens: promptTokens(loaded, chatHistory(systemPrompt, history)),
      contextSize: loaded.context.contextSize,
    };
  }

  async carryOut(request: AnswerRequest, signal: AbortSignal, queue: AnswerQueue): Promise<void> {
    const begunAt = performance.now();
    const loaded = await this.#load(request, signal, queue);
    const history = chatHistory(request.systemPrompt, request.history);
    const tokens = promptTokens(loaded, history);
    const contextSize = loaded.context.contextSize;
    if (tokens + smallestAnswerTokens > contextSize) throw tooLong(tokens, contextSize);

    const { sequence, chat } = loaded;
    const meter = sequence.tokenMeter.getState();
    const room = contextSize - tokens - 1;
    const { sampler } = request;
    const times: number[] = [];
    let firstAt: number | null = null;
    const quoter = new ThoughtQuoter();
    const reading = setInterval(() => {
      const fraction = Math.min(1, sequence.nextTokenIndex / tokens);
      const elapsed = (performance.now() - begunAt) / 1000;
      queue.push({
        type: 'stage',
        stage: {
          stage: 'reading',
          fraction,
          etaSeconds: fraction > 0.05 ? (elapsed / fraction) * (1 - fraction) : null,
        },
      });
    }, readingIntervalMs);
    queue.push({ type: 'stage', stage: { stage: 'reading', fraction: null, etaSeconds: null } });
    try {
      const { metadata } = await chat.generateResponse([...history, { type: 'model', response: [] }], {
        signal,
        stopOnAbortSignal: true,
        maxTokens: Math.min(sampler.maxTokens ?? room, room),
        temperature: sampler.temperature,
        topK: sampler.topK,
        topP: sampler.topP,
        minP: sampler.minP,
        seed: request.seed,
        repeatPenalty:
          sampler.repeatPenalty === 1 ? false : { penalty: sampler.repeatPenalty, lastTokens: repeatPenaltyTokens },
        onResponseChunk: (chunk) => {
          clearInterval(reading);
          const now = performance.now();
          firstAt ??= now;
          for (const _token of chunk.tokens) times.push(now);
          const text = quoter.add(chunk.segmentType === 'thought', chunk.text);
          if (text !== '') queue.push({ type: 'delta', text, tokensPerSecond: recentSpeed(times) });
        },
      });
      const rest = quoter.end();
      if (rest !== '') queue.push({ type: 'delta', text: rest, tokensPerSecond: recentSpeed(times) });
      const used = sequence.tokenMeter.diff(meter);
      const generatedTokens = used.usedOutputTokens;
      const spanMs = firstAt === null ? 0 : performance.now() - firstAt;
      queue.push({
        type: 'done',
        stats: {
          promptTokens: tokens,
          cachedTokens: Math.max(0, tokens - used.usedInputTokens),
          generatedTokens,
          timeToFirstTokenMs: (firstAt ?? performance.now()) - begunAt,
          tokensPerSecond: spanMs > 0 && generatedTokens > 1 ? ((generatedTokens - 1) * 1000) / spanMs : 0,
          stopReason: stopReason(metadata.stopReason, sampler.maxTokens, room),
          contextUsed: Math.min(contextSize, sequence.nextTokenIndex),
          contextSize,
          seed: request.seed,
        },
      });
    } finally {
      clearInterval(reading);
    }
  }

  async #load(request: AnswerRequest, signal: AbortSignal, queue: AnswerQueue): Promise<Loaded> {
    const { modelPath, contextSize, compute } = request;
    const key = JSON.stringify([modelPath, contextSize, compute.threads]);
    if (this.#loaded?.key === key) return this.#loaded;
    queue.push({ type: 'stage', stage: { stage: 'loading', fraction: 0, etaSeconds: null } });
    await this.drop();
    await validateGguf(modelPath);
    const llama = await this.llama();
    const onCpu = llama.gpu === false || (await llama.getGpuDeviceNames()).length === 0;
    if (contextSize !== null && onCpu) await requireRoom(request, contextSize);
    const begunAt = performance.now();
    let model: LlamaModel | null = null;
    try {
      model = await llama.loadModel({
        modelPath,
        gpuLayers: llama.gpu === false ? 0 : 'auto',
        loadSignal: signal,
        onLoadProgress: (fraction) => {
          const elapsed = (performance.now() - begunAt) / 1000;
          const etaSeconds = fraction > 0.05 ? (elapsed / fraction) * (1 - fraction) : null;
          queue.push({ type: 'stage', stage: { stage: 'loading', fraction, etaSeconds } });
        },
      });
      const context = await model.createContext({
        contextSize: contextSize ?? { max: Math.min(model.trainContextSize, defaultContextLimit) },
        sequences: 1,
        // A size that was asked for is given or refused, not quietly made smaller.
        ...(contextSize === null ? {} : { failedCreationRemedy: false as const }),
        ...(compute.threads === null ? {} : { threads: compute.threads }),
        createSignal: signal,
      });
      const sequence = context.getSequence();
      const wrapper = resolveChatWrapper(model);
      const names = model.gpuLayers > 0 ? await llama.getGpuDeviceNames() : [];
      this.#loaded = {
        path: modelPath,
        name: request.modelName,
        key,
        model,
        context,
        sequence,
        wrapper,
        chat: new LlamaChat({ contextSequence: sequence, chatWrapper: wrapper }),
        device: names[0] ?? 'CPU',
      };
      return this.#loaded;
    } catch (thrown) {
      await model?.dispose();
      throw explainLoad(thrown, request, signal);
    }
  }

  async drop(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = null;
    if (loaded === null) return;
    loaded.chat.dispose();
    await loaded.context.dispose();
    await loaded.model.dispose();
  }
}

async function openLlama(device: Settings['device']): Promise<Llama> {
  try {
    return await getLlama({
      gpu: device === 'cpu' ? false : device,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.error,
      logger: (_level, message) => process.stderr.write(message),
    });
  } catch (thrown) {
    const what =
      device === 'auto' || device === 'cpu' ? 'The model library cannot be loaded' : `${device} cannot be used`;
    throw new LutraError(
      {
        code: 'engine-unavailable',
        message: `${what} on this machine: ${(thrown as Error).message}`,
        hint:
          device === 'auto' || device === 'cpu'
            ? 'Run "lutra doctor" for details.'
            : 'Choose another compute device in Settings › Engine.',
      },
      { cause: thrown },
    );
  }
}

function chatHistory(systemPrompt: string, history: AnswerRequest['history']): ChatHistoryItem[] {
  const system: ChatHistoryItem[] = systemPrompt.trim() === '' ? [] : [{ type: 'system', text: systemPrompt }];
  return [
    ...system,
    ...history.map(({ role, text }): ChatHistoryItem =>
      role === 'user' ? { type: 'user', text } : { type: 'model', response: [withoutThoughts(text)] },
    ),
  ];
}

function promptTokens({ wrapper, model }: Loaded, history: ChatHistoryItem[]): number {
  const { contextText } = wrapper.generateContextState({ chatHistory: [...history, { type: 'model', response: [] }] });
  return contextText.tokenize(model.tokenizer).length;
}

function stopReason(reason: string, asked: number | null, room: number): AnswerStats['stopReason'] {
  if (reason === 'abort') return 'stopped';
  if (reason === 'maxTokens') return asked !== null && asked <= room ? 'length' : 'context-full';
  return 'end';
}

/** The library would try for a minute to get what is not there. */
async function requireRoom(request: AnswerRequest, contextSize: number): Promise<void> {
  const cacheBytes = plainCacheBytes(await readGgufHeader(request.modelPath), contextSize);
  if (cacheBytes !== null && cacheBytes > freemem()) throw outOfMemory(request);
}

function explainLoad(thrown: unknown, request: AnswerRequest, signal: AbortSignal): Error {
  const { modelName } = request;
  if (thrown instanceof LutraError) return thrown;
  if (signal.aborted) return new LutraError({ code: 'cancelled', message: 'Cancelled.' });
  const { message } = thrown as Error;
  if (thrown instanceof InsufficientMemoryError || /memory|alloc/i.test(message)) {
    return outOfMemory(request, thrown);
  }
  return new LutraError(
    {
      code: 'bad-file',
      message: `"${modelName}" could not be loaded: ${message}`,
      hint: 'Check every byte of it in Models, or get the file again.',
      subject: modelName,
    },
    { cause: thrown },
  );
}
