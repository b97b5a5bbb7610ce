/**
 * The native addon's whole binding, typed, and the one place that knows where its libraries lie.
 * It shares one ggml with node-llama-cpp: pass the GPU that `getLlama` was asked for.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { deviceSchema, selfTestSchema } from '../../contract/engine.ts';
import type { Device } from '../../contract/engine.ts';
import { errorCodes, LutraError } from '../../contract/errors.ts';
import type { ErrorCode } from '../../contract/errors.ts';

/** Which of node-llama-cpp's packages is in use; `false` is the CPU's. */
export type AddonGpu = 'cuda' | 'vulkan' | 'metal' | false;

export interface AddonLibraries {
  /** libggml-base. */
  readonly baseLibrary: string;
  /** libggml.<variant>.<release>: ggml's list of backends. */
  readonly registryLibrary: string;
  /** Where the backend modules are. */
  readonly backendFolder: string;
  /** Our own builds of the CPU module; the best that this machine can run is taken. */
  readonly cpuModules: readonly string[];
  /** Our own kernels for NVIDIA, which need not be there; empty: not wanted. */
  readonly cudaLibrary: string;
}

export const loadedSchema = z.object({
  ggmlVersion: z.string(),
  addonVersion: z.string(),
  cpuModule: z.object({ path: z.string(), isOwn: z.boolean(), note: z.string() }),
});
export type AddonLoaded = z.infer<typeof loadedSchema>;

export type AddonSelfTest = z.infer<typeof selfTestSchema>;

export const memorySchema = z.object({
  /** Resident memory of this process. */
  engineBytes: z.number().nonnegative(),
  machineFreeBytes: z.number().nonnegative(),
  machineTotalBytes: z.number().nonnegative(),
});
export type AddonMemory = z.infer<typeof memorySchema>;

export const evaluatedLogitsSchema = z.object({
  logits: z.instanceof(Float32Array),
  vocabSize: z.number().int().positive(),
});
export type EvaluatedLogits = z.infer<typeof evaluatedLogitsSchema>;

export const evaluatedPerplexitySchema = z.object({
  perplexity: z.number(),
  /** Tokens that were judged. */
  tokens: z.number().int().positive(),
  kernel: z.string(),
});
export type EvaluatedPerplexity = z.infer<typeof evaluatedPerplexitySchema>;

/** A text-to-audio model as its files describe it. */
export const audioDescriptionSchema = z.object({
  objective: z.enum(['v', 'rectified_flow']),
  sampleRate: z.number().int().positive(),
  channels: z.number().int().positive(),
  /** Samples per latent frame. */
  hop: z.number().int().positive(),
  /** Latent frames of the window that it was trained for. */
  mostFrames: z.number().int().positive(),
  promptTokens: z.number().int().positive(),
  /** Folders of the tokenizer and of T5; empty where there is none. */
  tokenizer: z.string(),
  textEncoder: z.string(),
  /** Whether it can start from a sound. */
  hasEncoder: z.boolean(),
  /** Its default first. */
  samplers: z.array(z.string()).min(1),
});
export type AudioDescription = z.infer<typeof audioDescriptionSchema>;

export const visionFamilySchema = z.enum(['evlm', 'mllama', 'mplugowl3']);
export type VisionFamily = z.infer<typeof visionFamilySchema>;

/** A model that looks, as its files describe it. */
export const visionDescriptionSchema = z.object({
  family: visionFamilySchema,
  imageTokenId: z.number().int().nonnegative(),
  /** Copies of that token that stand for a picture in a prompt. */
  imageTokens: z.number().int().positive(),
  /** What a picture costs in cross-attention, at most. */
  visionTokens: z.number().int().positive(),
  vocabSize: z.number().int().positive(),
  contextSize: z.number().int().positive(),
  weightBytes: z.number().nonnegative(),
});
export type VisionDescription = z.infer<typeof visionDescriptionSchema>;

export const preprocessedSchema = z.object({
  pixelValues: z.instanceof(Float32Array),
  /** Slowest dimension first. */
  shape: z.array(z.number().int().positive()),
  /** mllama only. */
  aspectRatioId: z.number().int().positive().optional(),
  numTiles: z.number().int().positive().optional(),
});
export type Preprocessed = z.infer<typeof preprocessedSchema>;

export const quantizedSizeSchema = z.object({
  sourceBytes: z.number().nonnegative(),
  weightBytes: z.number().nonnegative(),
  quantizedTensors: z.number().int().nonnegative(),
});
export type QuantizedSize = z.infer<typeof quantizedSizeSchema>;

export const quantizedReportSchema = z.object({
  /** Those that were quantized, with the error against the weight: ||W - Q|| / ||W||. */
  tensors: z.array(z.object({ name: z.string(), relativeError: z.number().nonnegative() })),
  sourceBytes: z.number().nonnegative(),
  bytes: z.number().nonnegative(),
});
export type QuantizedReport = z.infer<typeof quantizedReportSchema>;

export const unavailableSchema = z.object({ backend: z.string(), reason: z.string() });
export type UnavailableBackend = z.infer<typeof unavailableSchema>;

/** The addon, once ggml is loaded. Every method throws `LutraError`. */
export interface Addon extends AddonLoaded {
  readonly libraries: AddonLibraries;
  /** All GPUs that were found, then the CPU. */
  devices(): Device[];
  /** Backends that were looked for and not found, with the system's own reason. */
  unavailable(): UnavailableBackend[];
  memory(): AddonMemory;
  /** Runs on a worker thread; a second at most on a CPU. */
  selfTest(): Promise<AddonSelfTest>;
  /** Loads a Hugging Face folder's language model, on a thread of its own; `tell` counts bytes of weights. */
  loadTextModel(options: TextModelOptions, tell: (done: number, total: number) => void): Promise<TextModel>;
  /** What is being loaded fails with `cancelled`. */
  stopLoading(): void;
  /** What `quantizeFolder` would write; reads headers only. */
  predictQuantized(options: QuantizeOptions): QuantizedSize;
  /**
   * Makes a folder in our LUT layout from one in 16 or 32 bits. What was stopped goes on when it is called again with
   * the same options. `tell` gets fractions of 1.
   */
  quantizeFolder(
    options: QuantizeOptions & { readonly destination: string; readonly calibration: Int32Array },
    tell: (fraction: number) => void,
  ): Promise<QuantizedReport>;
  stopQuantizing(): void;
  /** The logits of every position, row-major, (tokens, vocabSize). */
  evalLogits(options: EvaluateOptions): Promise<EvaluatedLogits>;
  /** How surprised a model is by a text: windows one after the other, each token but a window's first judged. */
  evalPerplexity(
    options: EvaluateOptions & { readonly windowTokens: number },
    tell: (done: number, total: number) => void,
  ): Promise<EvaluatedPerplexity>;
  stopEvaluating(): void;
  /** Reads headers only. */
  describeAudio(options: Pick<AudioModelOptions, 'path' | 'textEncoder'>): AudioDescription;
  loadAudioModel(options: AudioModelOptions, tell: (done: number, total: number) => void): Promise<AudioModel>;
  stopLoadingAudio(): void;
  /** Every stage that an `.npz` of inputs determines, written to another; returns their names. */
  evalAudio(
    options: AudioModelOptions & {
      readonly inputs: string;
      readonly output: string;
      /** Empty: the model's default. */
      readonly sampler: string;
      readonly guidance: number;
    },
  ): Promise<string[]>;
  /** Reads config.json and headers only; refuses what does not add up, by name. */
  describeVision(options: Pick<VisionModelOptions, 'folder'>): VisionDescription;
  loadVisionModel(options: VisionModelOptions, tell: (done: number, total: number) => void): Promise<VisionModel>;
  stopLoadingVision(): void;
  /** What the model's tower would get, equal to the reference processor's. */
  preprocessPicture(options: { readonly folder: string; readonly picture: Picture }): Preprocessed;
  /**
   * Every stage that an `.npz` of inputs determines, written to another; returns their names. With a picture, also what
   * the processor makes of it, in the inputs' place; with nothing else, that alone.
   */
  evalVision(options: EvaluateVisionOptions): Promise<string[]>;
}

export interface AudioModelOptions {
  /** A diffusers folder, a folder with a single file and `model_config.json`, or that file. */
  readonly path: string;
  /** T5's folder; empty: what lies beside the model. */
  readonly textEncoder: string;
  readonly weights: 'f32' | 'bf16' | 'q8' | 'lut4';
  /** 0: one per core. */
  readonly threads: number;
}

/** Tokens of a prompt, filled up to the model's prompt length. */
export interface AudioPrompt {
  readonly ids: Int32Array;
  readonly mask: Int32Array;
}

export interface AudioGenerateOptions {
  readonly prompt: AudioPrompt;
  readonly negative: AudioPrompt | null;
  readonly secondsStart: number;
  readonly secondsTotal: number;
  /** Latent frames to make. */
  readonly frames: number;
  /** Empty: the model's default. */
  readonly sampler: string;
  readonly steps: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly rho: number;
  /** With `init`: how much of it is made anew, 0 to 1. */
  readonly strength: number;
  readonly guidance: number;
  readonly guidanceRescale: number;
  readonly seed: number;
  /** Samples (channels, n) at the model's rate to start from. */
  readonly init: Float32Array | null;
  /** With `init`: for each frame 1 where it is made anew, 0 where it stays. */
  readonly change: Float32Array | null;
}

/** What `generate` tells: `kind * audioEventUnit + done`, and the total. */
export const audioEvents = { step: 0, decoding: 1 } as const;
export const audioEventUnit = 2 ** 20;

/** A loaded text-to-audio model. One call at a time. */
export interface AudioModel {
  info(): AudioDescription & { weightBytes: number; device: string };
  /** Samples (channels, frames * hop), not clipped. */
  generate(options: AudioGenerateOptions, tell: (event: number, total: number) => void): Promise<Float32Array>;
  /** The clean latents that the last step saw, (latent channels, frames). */
  preview(): Float32Array;
  /** What is being made fails with `cancelled` within a second. */
  stop(): void;
  close(): void;
}

export interface QuantizeOptions {
  readonly source: string;
  readonly bits: number;
  readonly groupSize: number;
  readonly table: 'nf' | 'learned';
  /** Names of tensors that stay as they are; `*` stands for anything. */
  readonly skip: readonly string[];
  /** 0: one per core. */
  readonly threads: number;
}

export interface EvaluateOptions {
  readonly folder: string;
  readonly tokens: Int32Array;
  /** 0: one per core. */
  readonly threads: number;
  readonly precision: 'exact' | 'fast';
}

export interface TextModelOptions extends Pick<EvaluateOptions, 'folder' | 'threads' | 'precision'> {
  /** The most tokens of a chat; no more than the model's own length. */
  readonly contextSize: number;
  readonly cacheType: 'f32' | 'f16' | 'q8';
  /** `cuda`: as many layers as fit on the card with the most free memory, by our own kernels; fails where none does. */
  readonly device: 'cpu' | 'cuda';
}

export interface GenerateOptions {
  readonly prompt: Int32Array;
  /** The answer ends before any of these. */
  readonly endIds: Int32Array;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly seed: number;
}

/** What `generate` tells: a count of prompt tokens in the cache, or the next token. */
export const generateEvents = { reading: 0, token: 1 } as const;

export interface Generated {
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly reason: 'end' | 'length' | 'context-full' | 'stopped';
}

/** A loaded language model with its chat's cache. One call at a time. */
export interface TextModel {
  info(): {
    vocabSize: number;
    kernel: string;
    /** `CPU`, or the card's name. */
    device: string;
    /** Of a model on a card: how many of its `layers` are there; the CPU runs those before them. */
    cardLayers?: number;
    layers?: number;
    weightBytes: number;
    cacheBytes: number;
    contextSize: number;
    usedTokens: number;
  };
  generate(options: GenerateOptions, tell: (kind: number, value: number) => void): Promise<Generated>;
  /** What is being generated ends within a second, with `stopped`. */
  stop(): void;
  close(): void;
}

export type VisionModelOptions = TextModelOptions;

export interface EvaluateVisionOptions extends Omit<EvaluateOptions, 'tokens'> {
  /** An `.npz`, or empty. */
  readonly inputs: string;
  readonly output: string;
  readonly picture: Picture | null;
}

/** A picture as it is seen: upright, transparency laid on white. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Row by row, 3 bytes a pixel. */
  readonly rgb: Uint8Array;
}

/** What came of looking at a picture. */
export interface Looked {
  readonly cached: boolean;
  readonly visionTokens: number;
  readonly rows: number;
  readonly columns: number;
}

export interface VisionInfo extends VisionDescription {
  /** What stands in a text around the pieces of a picture that is cut: nothing is, or words do, or tokens. */
  readonly pieces: 'none' | 'named' | 'marked';
  readonly kernel: string;
  readonly cacheBytes: number;
  /** Keys and values of the pictures that are known. */
  readonly pictureBytes: number;
  readonly usedTokens: number;
}

/** A loaded model that looks, with its conversation's cache. One call at a time. */
export interface VisionModel {
  info(): VisionInfo;
  /**
   * Looks at a picture and keeps what cross-attention needs of it under `key`; those not asked for the longest are
   * forgotten when all take too much memory. `cut`: mPLUG-Owl3 looks at pieces, too: `rows` x `columns`, 0 where there
   * are none. `tell` counts blocks of the tower.
   */
  see(
    key: string,
    picture: Picture & { readonly cut: boolean },
    tell: (done: number, total: number) => void,
  ): Promise<Looked>;
  /**
   * `prompt` holds `imageTokens` copies of `imageTokenId` for each picture, for each of its pieces and for the whole;
   * `pictures` are their keys in order.
   * Fails with `not-found` for a key that was never seen or is forgotten.
   */
  generate(
    options: GenerateOptions & { readonly pictures: readonly string[] },
    tell: (kind: number, value: number) => void,
  ): Promise<Generated>;
  forget(key: string): void;
  /** What is being seen fails with `cancelled` within a second; what is being written ends with `stopped`. */
  stop(): void;
  close(): void;
}

/** What lutra.node exports. */
interface Binding {
  load(libraries: AddonLibraries): unknown;
  devices(): unknown;
  unavailable(): unknown;
  memory(): unknown;
  selfTest(): Promise<unknown>;
  loadTextModel(options: TextModelOptions, tell: (done: number, total: number) => void): Promise<TextModel>;
  stopLoading(): void;
  predictQuantized(options: QuantizeOptions): unknown;
  quantizeFolder(options: QuantizeOptions, tell: (fraction: number) => void): Promise<unknown>;
  stopQuantizing(): void;
  evalLogits(options: EvaluateOptions, tell: () => void): Promise<unknown>;
  evalPerplexity(options: EvaluateOptions, tell: (done: number, total: number) => void): Promise<unknown>;
  stopEvaluating(): void;
  describeAudio(options: Pick<AudioModelOptions, 'path' | 'textEncoder'>): unknown;
  loadAudioModel(options: AudioModelOptions, tell: (done: number, total: number) => void): Promise<AudioModel>;
  stopLoadingAudio(): void;
  evalAudio(options: AudioModelOptions, tell: () => void): Promise<unknown>;
  describeVision(options: Pick<VisionModelOptions, 'folder'>): unknown;
  loadVisionModel(options: VisionModelOptions, tell: (done: number, total: number) => void): Promise<VisionModel>;
  stopLoadingVision(): void;
  preprocessPicture(options: { readonly folder: string; readonly picture: Picture }): unknown;
  evalVision(options: EvaluateVisionOptions, tell: () => void): Promise<unknown>;
}

const bindingNames = [
  'load',
  'devices',
  'unavailable',
  'memory',
  'selfTest',
  'loadTextModel',
  'stopLoading',
  'predictQuantized',
  'quantizeFolder',
  'stopQuantizing',
  'evalLogits',
  'evalPerplexity',
  'stopEvaluating',
  'describeAudio',
  'loadAudioModel',
  'stopLoadingAudio',
  'evalAudio',
  'describeVision',
  'loadVisionModel',
  'stopLoadingVision',
  'preprocessPicture',
  'evalVision',
] as const satisfies (keyof Binding)[];

function isBinding(value: unknown): value is Binding {
  return bindingNames.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function');
}

/** An error of the addon carries code, hint and subject as properties. */
function toLutraError(thrown: unknown): LutraError {
  if (thrown instanceof LutraError) return thrown;
  const { code, hint, subject } = (thrown ?? {}) as { code?: unknown; hint?: unknown; subject?: unknown };
  return new LutraError(
    {
      code: errorCodes.find((known) => known === code) ?? ('internal' satisfies ErrorCode),
      message: thrown instanceof Error ? thrown.message : String(thrown),
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(typeof subject === 'string' ? { subject } : {}),
    },
    { cause: thrown },
  );
}

function guarded<T>(call: () => unknown, schema: z.ZodType<T>): T {
  try {
    return schema.parse(call());
  } catch (error) {
    throw toLutraError(error);
  }
}

async function later<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toLutraError(error);
  }
}

async function guardedLater<T>(call: () => Promise<unknown>, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(await later(call));
}

function guardedModel(model: TextModel): TextModel {
  return {
    info: () => model.info(),
    generate: (options, tell) => later(() => model.generate(options, tell)),
    stop: () => model.stop(),
    close: () => model.close(),
  };
}

function guardedAudioModel(model: AudioModel): AudioModel {
  return {
    info: () => model.info(),
    generate: (options, tell) => later(() => model.generate(options, tell)),
    preview: () => model.preview(),
    stop: () => model.stop(),
    close: () => model.close(),
  };
}

function guardedVisionModel(model: VisionModel): VisionModel {
  return {
    info: () => model.info(),
    see: (key, picture, tell) => later(() => model.see(key, picture, tell)),
    generate: (options, tell) => later(() => model.generate(options, tell)),
    forget: (key) => model.forget(key),
    stop: () => model.stop(),
    close: () => model.close(),
  };
}

/** The platform package's name, as node-llama-cpp chooses it. */
export function packageName(
  gpu: AddonGpu,
  platform: NodeJS.Platform = process.platform,
  arch: string = process.arch,
): string {
  const system = platform === 'win32' ? 'win' : platform === 'darwin' ? 'mac' : 'linux';
  const machine = arch === 'arm' ? 'armv7l' : arch;
  return [system, machine, ...(gpu === false ? [] : [gpu])].join('-');
}

/** `electron-builder` unpacks native files beside the archive; only there can the system's loader open them. */
const unpacked = (path: string): string => path.replace(/([\\/]app)\.asar([\\/])/, '$1.asar.unpacked$2');

/** Where that package's libraries are. Throws `LutraError` `engine-unavailable` when it is not installed. */
export async function librariesFolder(gpu: AddonGpu): Promise<string> {
  const name = packageName(gpu);
  try {
    // Asked from node-llama-cpp's place: the package is its dependency, not ours.
    const llamaEntry = fileURLToPath(import.meta.resolve('node-llama-cpp'));
    const entry = createRequire(llamaEntry).resolve(`@node-llama-cpp/${name}`);
    const { getBinsDir } = (await import(pathToFileURL(entry).href)) as { getBinsDir: () => { binsDir: string } };
    return unpacked(join(getBinsDir().binsDir, name));
  } catch (error) {
    throw new LutraError(
      {
        code: 'engine-unavailable',
        message: `The engine's libraries for this machine (${name}) are not installed.`,
        hint: 'Run npm ci in the folder of Lutra, or install Lutra again.',
        subject: name,
      },
      { cause: error },
    );
  }
}

/** Where our own kernels for NVIDIA are built to. */
function cudaLibraryPath(addonFolder: string): string {
  const name = process.platform === 'win32' ? 'lutra-cuda.dll' : 'liblutra-cuda.so';
  return process.env['LUTRA_CUDA_LIBRARY'] ?? join(addonFolder, name);
}

function findLibraries(folder: string, addonFolder: string, wantsCuda: boolean): AddonLibraries {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const find = (what: string, pattern: RegExp): string => {
    const name = names.find((candidate) => pattern.test(candidate));
    if (name !== undefined) return join(folder, name);
    throw new LutraError({
      code: 'engine-unavailable',
      message: `The engine's library ${what} is missing from ${folder}.`,
      hint: 'Run npm ci in the folder of Lutra, or install Lutra again.',
      subject: folder,
    });
  };
  const moduleName = /^(lib)?ggml-cpu-[\w.]+\.(so|dll)$/;
  return {
    baseLibrary: find('ggml-base', /^(lib)?ggml-base\.(so|dylib|dll)$/),
    registryLibrary: find('ggml', /^(lib)?ggml\..*\.(so|dylib|dll)$/),
    backendFolder: folder,
    cpuModules: readdirSync(addonFolder)
      .filter((name) => moduleName.test(name))
      .map((name) => join(addonFolder, name)),
    cudaLibrary: wantsCuda ? cudaLibraryPath(addonFolder) : '',
  };
}

/**
 * Loads the addon and, through it, ggml; once per process.
 * @param addonFolder where `lutra.node` and our CPU module are (`build/native/<platform>-<arch>`)
 * @param gpu the one that `getLlama` uses in this process
 * @param wantsCuda whether our own kernels for NVIDIA are looked for
 * Throws `LutraError`: `engine-unavailable` (not built, or packages missing), `file-access` (a library does not load),
 * `not-supported` (another ggml version), `conflict` (another ggml is in this process).
 */
export async function loadAddon(addonFolder: string, gpu: AddonGpu, wantsCuda = false): Promise<Addon> {
  const folder = unpacked(addonFolder);
  const file = join(folder, 'lutra.node');
  if (!existsSync(file)) {
    throw new LutraError({
      code: 'engine-unavailable',
      message: "The engine's addon is not built.",
      hint: 'Run npm run native -- build in the folder of Lutra.',
      subject: file,
    });
  }
  const libraries = findLibraries(await librariesFolder(gpu), folder, wantsCuda);
  const binding = openBinding(file);
  const loaded = guarded(() => binding.load(libraries), loadedSchema);
  return {
    ...loaded,
    libraries,
    devices: () => guarded(() => binding.devices(), z.array(deviceSchema)),
    unavailable: () => guarded(() => binding.unavailable(), z.array(unavailableSchema)),
    memory: () => guarded(() => binding.memory(), memorySchema),
    selfTest: () => guardedLater(() => binding.selfTest(), selfTestSchema),
    loadTextModel: async (options, tell) => guardedModel(await later(() => binding.loadTextModel(options, tell))),
    stopLoading: () => binding.stopLoading(),
    predictQuantized: (options) => guarded(() => binding.predictQuantized(options), quantizedSizeSchema),
    quantizeFolder: (options, tell) => guardedLater(() => binding.quantizeFolder(options, tell), quantizedReportSchema),
    stopQuantizing: () => binding.stopQuantizing(),
    stopEvaluating: () => binding.stopEvaluating(),
    describeAudio: (options) => guarded(() => binding.describeAudio(options), audioDescriptionSchema),
    loadAudioModel: async (options, tell) =>
      guardedAudioModel(await later(() => binding.loadAudioModel(options, tell))),
    stopLoadingAudio: () => binding.stopLoadingAudio(),
    evalAudio: (options) => guardedLater(() => binding.evalAudio(options, () => undefined), z.array(z.string())),
    describeVision: (options) => guarded(() => binding.describeVision(options), visionDescriptionSchema),
    loadVisionModel: async (options, tell) =>
      guardedVisionModel(await later(() => binding.loadVisionModel(options, tell))),
    stopLoadingVision: () => binding.stopLoadingVision(),
    preprocessPicture: (options) => guarded(() => binding.preprocessPicture(options), preprocessedSchema),
    evalVision: (options) => guardedLater(() => binding.evalVision(options, () => undefined), z.array(z.string())),
    evalLogits: (options) => guardedLater(() => binding.evalLogits(options, () => undefined), evaluatedLogitsSchema),
    evalPerplexity: (options, tell) =>
      guardedLater(() => binding.evalPerplexity(options, tell), evaluatedPerplexitySchema),
  };
}

function openBinding(file: string): Binding {
  let binding: unknown;
  try {
    binding = createRequire(join(dirname(file), 'addon.cjs'))(file);
  } catch (error) {
    throw new LutraError(
      {
        code: 'file-access',
        message: `The engine's addon does not load: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Build it again: npm run native -- build.',
        subject: file,
      },
      { cause: error },
    );
  }
  if (isBinding(binding)) return binding;
  throw new LutraError({
    code: 'not-supported',
    message: "The engine's addon is of another version than this Lutra.",
    hint: 'Build it again: npm run native -- build.',
    subject: file,
  });
}
