/** A smaller copy of a model: where it goes, and the job that makes it. */
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { LutraError } from '../../contract/errors.ts';
import { quantizeOptionsSchema } from '../../contract/models.ts';
import type { Model, QuantizeOptions } from '../../contract/models.ts';
import type { Engine } from '../engine/engine.ts';
import { priorities } from '../engine/engine.ts';
import type { Inspection, QuantizeRequest } from '../engine/protocol.ts';
import type { JobRunner } from '../jobs/runner.ts';

/** Chat models of our own engine whose weights are not quantized yet. */
export function canQuantize({ kind, status, capabilities, quantization }: Inspection): boolean {
  return (
    kind === 'hf' && status === 'ready' && capabilities.includes('chat') && /^(f32|f16|bf16)$/.test(quantization ?? '')
  );
}

export function requireQuantizable({ name, canQuantize: can }: Model): void {
  if (can) return;
  throw new LutraError({
    code: 'not-supported',
    message: `${name} cannot be made smaller here.`,
    hint: 'Only chat models in safetensors with weights in 16 or 32 bits can.',
    subject: name,
  });
}

/** The name tells the options, so that asking for the same again goes on with what was begun. */
function copyName(source: string, { bits, groupSize, table }: QuantizeOptions): string {
  return `${basename(source)}-lut${bits}-g${groupSize}${table === 'nf' ? '-nf' : ''}`;
}

/** Beside the source where that can be written to, else in `modelsFolder`; never a folder that is there already. */
export async function chooseDestination(
  source: string,
  options: QuantizeOptions,
  modelsFolder: string,
): Promise<string> {
  const beside = dirname(source);
  const isWritable = await access(beside, constants.W_OK).then(
    () => true,
    () => false,
  );
  const folder = isWritable ? beside : modelsFolder;
  const name = copyName(source, options);
  for (let number = 1; ; number += 1) {
    const path = join(folder, number === 1 ? name : `${name}-${number}`);
    if ((await stat(path).catch(() => null)) === null) return path;
  }
}

export function requestOf(source: string, options: QuantizeOptions, threads: number | null): QuantizeRequest {
  return { source, ...options, skip: [], threads };
}

const inputSchema = z.object({ modelId: z.string(), destination: z.string(), options: quantizeOptionsSchema });

export interface QuantizeRunnerOptions {
  readonly engine: Engine;
  readonly pathOf: (modelId: string) => string;
  readonly threads: () => number | null;
  /** Adds the finished copy to the list. */
  readonly take: (path: string) => Promise<void>;
}

/** The engine keeps what is done beside the destination, so that there is nothing to save here. */
export function quantizeRunner({
  engine,
  pathOf,
  threads,
  take,
}: QuantizeRunnerOptions): JobRunner<z.infer<typeof inputSchema>, null> {
  return {
    kind: 'models.quantize',
    unit: 'bytes',
    inputSchema,
    checkpointSchema: z.null(),
    async run({ modelId, destination, options }, { signal, progress }) {
      const request = requestOf(pathOf(modelId), options, threads());
      const { sourceBytes } = await engine.predictQuantized(request);
      progress({ done: 0, total: sourceBytes, note: basename(destination) });
      await mkdir(dirname(destination), { recursive: true });
      const run = { ...request, destination, calibrationPath: null };
      for await (const { fraction, report } of engine.quantize(run, { signal, priority: priorities.batch })) {
        progress({ done: Math.round(fraction * sourceBytes) });
        if (report === null) continue;
        await take(destination);
        const errors = report.tensors.map(({ relativeError }) => relativeError);
        const mean = errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length);
        const share = ((100 * report.bytes) / Math.max(1, report.sourceBytes)).toFixed(0);
        return `${destination}: ${share} % of the size, weights off by ${(100 * mean).toFixed(1)} % on average`;
      }
      signal.throwIfAborted();
      throw new LutraError({ code: 'internal', message: 'The engine ended before the copy was whole.' });
    },
  };
}
