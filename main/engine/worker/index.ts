/** The engine process. It opens model files, runs models, and may die at any moment without taking anything along. */
import { writeFileSync } from 'node:fs';
import { serve } from '../../../contract/rpc/server.ts';
import { settingsSchema } from '../../../contract/settings.ts';
import { readPicture } from '../../media/picture.ts';
import { processTransport } from '../process-transport.ts';
import type { ChannelEnd } from '../process-transport.ts';
import { engineProtocol } from '../protocol.ts';
import type { EngineHandlers } from '../protocol.ts';
import { followed } from './followed.ts';
import { createModelHandlers } from './inspect/index.ts';
import type { EvaluatedPerplexity, QuantizedReport } from '../addon.ts';
import { AudioRuntime } from './audio/runtime.ts';
import { ChatRuntime } from './chat-runtime.ts';
import { LlamaBackend } from './llama.ts';
import { Reporter } from './report.ts';
import { parentPortTransport } from './parent-port.ts';
import { FolderBackend } from './text/backend.ts';
import { VisionRuntime, shrunk } from './vision/runtime.ts';
import { tokensOf } from './text/tokens-of.ts';

/** When memory runs out, the system should end this process, not the studio. */
function volunteerForMemoryShortage(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500');
  } catch {
    // Not Linux, or not allowed: the system chooses by size.
  }
}

volunteerForMemoryShortage();
const device = settingsSchema.shape.device.catch('auto').parse(process.env['LUTRA_ENGINE_DEVICE']);
const llama = new LlamaBackend(device);
const reporter = new Reporter(llama, import.meta.dirname, device);
const runtime = new ChatRuntime({ gguf: llama, folder: new FolderBackend(() => reporter.addon()) });
const audio = new AudioRuntime(() => reporter.addon());
const vision = new VisionRuntime(() => reporter.addon());

const handlers: EngineHandlers = {
  engine: {
    report: () => reporter.report(),
    memory: async () => ({
      engineBytes: process.memoryUsage.rss(),
      card: await reporter.cardIfKnown(),
      loadedModel: runtime.loadedModel() ?? audio.loadedModel() ?? vision.loadedModel(),
    }),
    unload: async () => {
      await runtime.unload();
      audio.drop();
      await vision.unload();
      return {};
    },
  },
  audio: {
    describe: ({ path, textEncoder }) => audio.describe(path, textEncoder),
    // Chat, sound and captions take turns in memory.
    generate: async function* (request, { signal }) {
      await runtime.unload();
      await vision.unload();
      yield* audio.generate(request, signal);
    },
    evaluate: async (request) => ({ stages: await audio.evaluate(request) }),
  },
  vision: {
    describe: ({ path }) => vision.describe(path),
    write: async function* (request, { signal }) {
      await runtime.unload();
      audio.drop();
      yield* vision.write(request, signal);
    },
    picture: ({ name, source, side }) => shrunk(name, source, side),
  },
  quantize: {
    predict: async ({ threads, ...options }) =>
      (await reporter.addon()).predictQuantized({ ...options, threads: threads ?? 0 }),
    run: async function* ({ threads, calibrationPath, ...options }, { signal }) {
      const addon = await reporter.addon();
      const calibration = calibrationPath === null ? new Int32Array() : await tokensOf(options.source, calibrationPath);
      const events = followed<number, QuantizedReport>(
        (tell) => addon.quantizeFolder({ ...options, threads: threads ?? 0, calibration }, tell),
        () => addon.stopQuantizing(),
        signal,
      );
      for await (const { progress, result } of events) yield { fraction: progress ?? 1, report: result };
    },
  },
  evaluate: {
    perplexity: async function* ({ path, textPath, threads, windowTokens, precision }, { signal }) {
      const addon = await reporter.addon();
      const options = {
        folder: path,
        tokens: await tokensOf(path, textPath),
        threads: threads ?? 0,
        precision,
        windowTokens,
      };
      const events = followed<[number, number], EvaluatedPerplexity>(
        (tell) => addon.evalPerplexity(options, (done, total) => tell([done, total])),
        () => addon.stopEvaluating(),
        signal,
      );
      const total = options.tokens.length;
      for await (const { progress, result } of events)
        yield { done: progress?.[0] ?? total, total: progress?.[1] ?? total, result };
    },
    vision: async ({ path, picture, inputs, output, threads }) => {
      const addon = await reporter.addon();
      const stages = await addon.evalVision({
        folder: path,
        inputs: inputs ?? '',
        output,
        picture: picture === null ? null : await readPicture(picture),
        threads: threads ?? 0,
        precision: 'exact',
      });
      return { stages };
    },
    logits: async ({ path, tokens, threads }) => {
      const addon = await reporter.addon();
      const { logits, vocabSize } = await addon.evalLogits({
        folder: path,
        tokens: Int32Array.from(tokens),
        threads: threads ?? 0,
        precision: 'exact',
      });
      return { bytes: new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength), vocabSize };
    },
  },
  models: createModelHandlers({ gpu: () => reporter.gpu(), card: () => reporter.card() }),
  chat: {
    answer: async function* (request, { signal }) {
      audio.drop();
      await vision.unload();
      yield* runtime.answer(request, signal);
    },
    stop: () => {
      runtime.stop();
      return {};
    },
    idle: async () => {
      await runtime.idle();
      return {};
    },
    measure: (request) => runtime.measure(request),
  },
};

serve(engineProtocol, handlers, parentPortTransport() ?? processTransport(process as unknown as ChannelEnd), 'main');
// Ctrl-C reaches the whole group; the studio ends this process when it is done with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
