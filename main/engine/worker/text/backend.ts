/** Language models from Hugging Face folders, run by our own engine: one model and one session, kept between turns. */
import { freemem } from 'node:os';
import { defaultContextLimit } from '../../../../contract/chat.ts';
import { LutraError } from '../../../../contract/errors.ts';
import type { ErrorCode } from '../../../../contract/errors.ts';
import type { AnswerRequest } from '../../protocol.ts';
import { generateEvents } from '../../addon.ts';
import type { Addon, Generated, TextModel } from '../../addon.ts';
import type { AnswerQueue } from '../answer-queue.ts';
import { outOfMemory, recentSpeed, smallestAnswerTokens, tooLong } from '../chat-backend.ts';
import type { ChatBackend, LoadedModel } from '../chat-backend.ts';
import { estimateFolder } from '../inspect/folder-fit.ts';
import { ThoughtQuoter, ThoughtTags, withoutThoughts } from '../thoughts.ts';
import { threadsFor } from '../threads.ts';
import { loadTemplate } from './template.ts';
import type { ChatMessage, ChatTemplate } from './template.ts';
import { loadTokenizer } from './tokenizer.ts';
import type { PromptPart, TextTokenizer } from './tokenizer.ts';

interface Loaded {
  readonly path: string;
  readonly name: string;
  readonly key: string;
  readonly model: TextModel;
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
  /** Why it is not, or not all of it, on the graphics card, where that is so. */
  readonly note: string | undefined;
}

/** Of f16's bytes: one byte for two, and a scale per 32. */
const q8Share = 17 / 32;

/** Why a card may not take a model that the CPU can still run. */
const cpuCodes: ReadonlySet<ErrorCode> = new Set(['out-of-memory', 'not-supported', 'engine-unavailable']);

export class FolderBackend implements ChatBackend {
  readonly #addon: () => Promise<Addon>;
  #loaded: Loaded | null = null;

  constructor(addon: () => Promise<Addon>) {
    this.#addon = addon;
  }

  loadedModel(): LoadedModel | null {
    if (this.#loaded === null) return null;
    const { path, name, model, note } = this.#loaded;
    const { kernel, device, weightBytes, cacheBytes, contextSize, cardLayers: count, layers: all } = model.info();
    return {
      path,
      name,
      device,
      kernel,
      memoryBytes: weightBytes + cacheBytes,
      contextSize,
      ...(count === undefined || all === undefined ? {} : { cardLayers: { count, all } }),
      ...(note === undefined ? {} : { note }),
    };
  }

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
    const parts = await loaded.template.render(chatMessages(systemPrompt, history));
    return { tokens: loaded.tokenizer.encodePrompt(parts).length, contextSize: loaded.model.info().contextSize };
  }

  async carryOut(request: AnswerRequest, signal: AbortSignal, queue: AnswerQueue): Promise<void> {
    const begunAt = performance.now();
    const { model: firstModel, tokenizer, template } = await this.#load(request, signal, queue);
    const parts = await template.render(chatMessages(request.systemPrompt, request.history));
    const prompt = tokenizer.encodePrompt(parts);
    const { contextSize } = firstModel.info();
    if (prompt.length + smallestAnswerTokens > contextSize) throw tooLong(prompt.length, contextSize);

    const { sampler } = request;
    const room = contextSize - prompt.length;
    const stream = tokenizer.stream();
    const tags = new ThoughtTags(endsInThought(parts));
    const quoter = new ThoughtQuoter();
    const times: number[] = [];
    const give = (pieces: ReturnType<ThoughtTags['add']>): void => {
      const text = pieces.map((piece) => quoter.add(piece.isThought, piece.text)).join('');
      if (text !== '') queue.push({ type: 'delta', text, tokensPerSecond: recentSpeed(times) });
    };
    const readingSince = performance.now();
    queue.push({ type: 'stage', stage: { stage: 'reading', fraction: null, etaSeconds: null } });
    const answered: number[] = [];
    const mostTokens = Math.min(sampler.maxTokens ?? room, room);
    const generate = async (model: TextModel): Promise<Generated> => {
      const stop = (): void => model.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const work = model.generate(
          {
            prompt: Int32Array.from([...prompt, ...answered]),
            endIds: Int32Array.from(tokenizer.endIds),
            maxTokens: mostTokens - answered.length,
            temperature: sampler.temperature,
            topK: sampler.topK,
            topP: sampler.topP,
            minP: sampler.minP,
            repeatPenalty: sampler.repeatPenalty,
            seed: request.seed,
          },
          (kind, value) => {
            if (kind === generateEvents.reading) {
              const fraction = Math.min(1, value / prompt.length);
              const elapsed = (performance.now() - readingSince) / 1000;
              const etaSeconds = fraction > 0.05 ? (elapsed / fraction) * (1 - fraction) : null;
              queue.push({ type: 'stage', stage: { stage: 'reading', fraction, etaSeconds } });
              return;
            }
            answered.push(value);
            times.push(performance.now());
            give(tags.add(stream.add(value)));
          },
        );
        if (signal.aborted) model.stop();
        return await work;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    };
    const { cachedTokens, reason } = await this.#withRetreat(request, signal, queue, generate);
    give(tags.add(stream.end()));
    give(tags.end());
    const rest = quoter.end();
    if (rest !== '') queue.push({ type: 'delta', text: rest, tokensPerSecond: recentSpeed(times) });
    const [firstAt, lastAt] = [times[0], times.at(-1)];
    const spanMs = firstAt === undefined || lastAt === undefined ? 0 : lastAt - firstAt;
    const isFull = reason === 'length' && (sampler.maxTokens === null || sampler.maxTokens > room);
    queue.push({
      type: 'done',
      stats: {
        promptTokens: prompt.length,
        cachedTokens,
        generatedTokens: answered.length,
        timeToFirstTokenMs: (firstAt ?? performance.now()) - begunAt,
        tokensPerSecond: spanMs > 0 ? ((answered.length - 1) * 1000) / spanMs : 0,
        stopReason: isFull ? 'context-full' : reason,
        contextUsed: Math.min(contextSize, this.#loaded?.model.info().usedTokens ?? contextSize),
        contextSize,
        seed: request.seed,
      },
    });
  }

  /**
   * Where the card runs out of memory in the middle of `work`, that is done again with as many layers there as fit now,
   * and after that with none.
   */
  async #withRetreat<Result>(
    request: AnswerRequest,
    signal: AbortSignal,
    queue: AnswerQueue,
    work: (model: TextModel) => Promise<Result>,
  ): Promise<Result> {
    let { model } = await this.#load(request, signal, queue);
    for (const usesCard of [true, false]) {
      try {
        return await work(model);
      } catch (thrown) {
        const isShort = thrown instanceof LutraError && thrown.code === 'out-of-memory';
        if (!isShort || model.info().cardLayers === undefined) throw thrown;
        ({ model } = await this.#load(request, signal, queue, { usesCard, reason: thrown.message }));
      }
    }
    return work(model);
  }

  async drop(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = null;
    loaded?.template.dispose();
    loaded?.model.close();
  }

  /** `retreat`: loads it again, because of `reason`. */
  async #load(
    request: AnswerRequest,
    signal: AbortSignal,
    queue: AnswerQueue,
    retreat?: { readonly usesCard: boolean; readonly reason: string },
  ): Promise<Loaded> {
    const { modelPath, contextSize, compute } = request;
    const key = JSON.stringify([modelPath, contextSize, compute.threads, compute.chatCache]);
    if (this.#loaded?.key === key && retreat === undefined) return this.#loaded;
    queue.push({ type: 'stage', stage: { stage: 'loading', fraction: 0, etaSeconds: null } });
    await this.drop();
    const estimate = await estimateFolder(modelPath);
    const wanted = contextSize ?? Math.min(estimate.contextLength, defaultContextLimit);
    // A context that was asked for is kept free; otherwise the cache grows as the chat does.
    const cacheShare = compute.chatCache === 'q8' ? q8Share : 1;
    const cacheBytes = contextSize === null ? 0 : estimate.cacheBytesPerToken * wanted * cacheShare;
    const tokenizer = await loadTokenizer(modelPath, estimate.vocabSize);
    const template = await loadTemplate(modelPath, tokenizer);
    const addon = await this.#addon();
    const usesCard =
      (retreat?.usesCard ?? true) &&
      addon.devices().some(({ backend, runsFolders }) => backend !== 'cpu' && runsFolders);
    signal.throwIfAborted();
    const begunAt = performance.now();
    const stop = (): void => addon.stopLoading();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const load = (device: 'cpu' | 'cuda'): Promise<TextModel> =>
        addon.loadTextModel(
          {
            device,
            folder: modelPath,
            threads: threadsFor(compute.threads, estimate.weightsBytes),
            precision: 'fast',
            cacheType: compute.chatCache ?? 'f16',
            contextSize: wanted,
          },
          (done, total) => {
            const fraction = total === 0 ? 0 : done / total;
            const elapsed = (performance.now() - begunAt) / 1000;
            const etaSeconds = fraction > 0.05 ? (elapsed / fraction) * (1 - fraction) : null;
            queue.push({ type: 'stage', stage: { stage: 'loading', fraction, etaSeconds } });
          },
        );
      let note = retreat?.reason;
      const onCard = usesCard
        ? await load('cuda').catch((thrown: unknown) => {
            if (!(thrown instanceof LutraError) || !cpuCodes.has(thrown.code)) throw thrown;
            note = thrown.message;
            return null;
          })
        : null;
      if (onCard === null && estimate.weightsBytes + cacheBytes > freemem()) throw outOfMemory(request);
      const model = onCard ?? (await load('cpu'));
      this.#loaded = { path: modelPath, name: request.modelName, key, model, tokenizer, template, note };
      return this.#loaded;
    } catch (thrown) {
      template.dispose();
      if (signal.aborted) throw new LutraError({ code: 'cancelled', message: 'Cancelled.' }, { cause: thrown });
      throw thrown;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

function chatMessages(systemPrompt: string, history: AnswerRequest['history']): ChatMessage[] {
  const system: ChatMessage[] = systemPrompt.trim() === '' ? [] : [{ role: 'system', content: systemPrompt }];
  return [
    ...system,
    ...history.map(({ role, text }): ChatMessage => ({
      role,
      content: role === 'user' ? text : withoutThoughts(text),
    })),
  ];
}

const endsInThought = (parts: readonly PromptPart[]): boolean => /<think>\s*$/.test(parts.at(-1)?.text ?? '');
