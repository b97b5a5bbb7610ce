/** The engine process. It opens model files, runs models, and may die at any moment without taking anything along. */
import { writeFileSync } from 'node:fs';
import { serve } from '../../../contract/rpc/server.ts';
import { settingsSchema } from '../../../contract/settings.ts';
import { processTransport } from '../process-transport.ts';
import type { ChannelEnd } from '../process-transport.ts';
import { engineProtocol } from '../protocol.ts';
import type { EngineHandlers } from '../protocol.ts';
import { createModelHandlers } from './inspect/index.ts';
import { LlamaRuntime } from './llama.ts';
import { Reporter } from './report.ts';
import { parentPortTransport } from './parent-port.ts';

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
const runtime = new LlamaRuntime(device);
const reporter = new Reporter(runtime, import.meta.dirname);

const handlers: EngineHandlers = {
  engine: {
    report: () => reporter.report(),
    memory: () => ({ engineBytes: process.memoryUsage.rss(), loadedModel: runtime.loadedModel() }),
    unload: async () => {
      await runtime.unload();
      return {};
    },
  },
  evaluate: {
    logits: async ({ path, tokens, threads }) => {
      const addon = await reporter.addon();
      const { logits, vocabSize } = await addon.evalLogits(path, Int32Array.from(tokens), threads ?? 0);
      return { bytes: new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength), vocabSize };
    },
  },
  models: createModelHandlers({ deviceFor: () => reporter.gpu() }),
  chat: {
    answer: (request, { signal }) => runtime.answer(request, signal),
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
