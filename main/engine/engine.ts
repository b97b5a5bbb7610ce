/**
 * The engine as the services see it. Behind it is another process: any call may fail with
 * `engine-crashed`, and the next one finds a fresh engine.
 */
import type { EngineReport, EngineStatus } from '../../contract/engine.ts';
import type { Fit } from '../../contract/models.ts';
import type { QuantizedSize, VisionDescription } from './addon.ts';
import type {
  AnswerEvent,
  AnswerRequest,
  AudioEvaluate,
  AudioEvent,
  AudioRequest,
  ComputeOptions,
  DescribedAudio,
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

/** Lower runs first. An answer someone waits for goes before a batch. */
export const priorities = { interactive: 0, normal: 10, batch: 20 } as const;
export type Priority = (typeof priorities)[keyof typeof priorities];

export interface WorkOptions {
  readonly signal?: AbortSignal;
  readonly priority?: Priority;
}

export interface ShrunkPicture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

export interface Engine {
  status(): EngineStatus;
  /** Returns a function that ends the subscription. */
  onStatus(listener: (status: EngineStatus) => void): () => void;

  /**
   * Queued work: one at a time, by priority, then by arrival. When the signal fires in mid-answer, the answer ends
   * within a second: with `done` where it could stop well, else with `cancelled`.
   */
  answer(request: AnswerRequest, options?: WorkOptions): AsyncIterable<AnswerEvent>;

  /** Queued work: the logits of every position of a prompt, in full precision. Row-major, (tokens, vocabSize). */
  logits(
    path: string,
    tokens: readonly number[],
    threads: number | null,
    options?: WorkOptions,
  ): Promise<{ values: Float32Array; vocabSize: number }>;

  /** What `quantize` would write; reads headers only. */
  predictQuantized(request: QuantizeRequest): Promise<QuantizedSize>;
  /** Queued work: makes a LUT folder; the report comes with the last event. Goes on where an earlier run was stopped. */
  quantize(request: QuantizeRun, options?: WorkOptions): AsyncIterable<QuantizeEvent>;
  /** Queued work: how surprised a model is by a text file; the result comes with the last event. */
  perplexity(request: PerplexityRequest, options?: WorkOptions): AsyncIterable<PerplexityEvent>;

  /** Queued work: one take of a sound, which comes with the last event. */
  generateAudio(request: AudioRequest, options?: WorkOptions): AsyncIterable<AudioEvent>;
  /** Queued work: every stage that an `.npz` of inputs determines. */
  evaluateAudio(request: AudioEvaluate, options?: WorkOptions): Promise<string[]>;
  /** Queued work: every stage of a model that looks, by an `.npz` and a picture file. */
  evaluateVision(request: VisionEvaluate, options?: WorkOptions): Promise<string[]>;
  /** Light work. `textEncoder` empty: what lies beside the model. */
  describeAudio(path: string, textEncoder: string): Promise<DescribedAudio>;

  /** Queued work: a text about pictures, which comes with the last event. */
  write(request: VisionRequest, options?: WorkOptions): AsyncIterable<VisionEvent>;
  /** Light work. */
  describeVision(path: string): Promise<VisionDescription>;
  /** Light work: a WebP no side of which is longer than `side`, and how large the whole is, upright. */
  shrink(name: string, source: PictureSource, side: number): Promise<ShrunkPicture>;

  /** Light work: runs beside the queue. */
  inspect(path: string, options?: { signal?: AbortSignal }): Promise<Inspection>;
  discover(path: string, options?: { signal?: AbortSignal }): AsyncIterable<{ path: string }>;
  fit(path: string, contextLength: number | null, compute: ComputeOptions): Promise<Fit>;
  /** The whole file's SHA-256 in hex comes with the last event; null before. */
  hash(path: string, options?: { signal?: AbortSignal }): AsyncIterable<{ bytesRead: number; sha256: string | null }>;
  measure(
    request: Pick<AnswerRequest, 'modelPath' | 'systemPrompt' | 'history'>,
  ): Promise<{ tokens: number; contextSize: number } | null>;

  /** Devices, versions and the self-test. Starts the engine if need be. */
  report(): Promise<EngineReport>;
  unload(): Promise<void>;
  restart(): Promise<void>;
  dispose(): Promise<void>;
}
