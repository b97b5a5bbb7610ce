/** Does a model fit into memory that is free now? An estimate, with its parts. */
import { freemem } from 'node:os';
import { GgufInsights, readGgufFileInfo } from 'node-llama-cpp';
import { defaultContextLimit } from '../../../../contract/chat.ts';
import type { Fit } from '../../../../contract/models.ts';
import type { Inspection } from '../../protocol.ts';

/** Above this share of free memory it would run, but nothing else should. */
const tightShare = 0.85;
/** Bookkeeping of the process beside buffers. */
const processBytes = 150 * 2 ** 20;

export interface FitRequest {
  readonly path: string;
  readonly inspection: Inspection;
  readonly contextLength: number | null;
  /** Where it would run, and what is free there. */
  readonly device: { readonly name: string; readonly freeBytes: number } | null;
}

export async function estimateFit({ path, inspection, contextLength, device }: FitRequest): Promise<Fit> {
  const length = contextLength ?? Math.min(inspection.contextLength ?? defaultContextLimit, defaultContextLimit);
  const parts = inspection.kind === 'gguf' ? await ggufParts(path, length, device !== null) : plainParts(inspection);
  const neededBytes = parts.weightsBytes + parts.cacheBytes + parts.overheadBytes;
  const availableBytes = device?.freeBytes ?? freemem();
  return {
    ...parts,
    verdict: verdictOf(neededBytes, availableBytes),
    neededBytes,
    availableBytes,
    contextLength: inspection.kind === 'gguf' ? length : 0,
    device: device?.name ?? 'CPU',
  };
}

function verdictOf(neededBytes: number, availableBytes: number): Fit['verdict'] {
  if (availableBytes === 0) return 'unknown';
  if (neededBytes > availableBytes) return 'too-large';
  return neededBytes > availableBytes * tightShare ? 'tight' : 'fits';
}

type Parts = Pick<Fit, 'weightsBytes' | 'cacheBytes' | 'overheadBytes'>;

/** The cache and the compute buffers as llama.cpp would allocate them. */
async function ggufParts(path: string, contextLength: number, onGpu: boolean): Promise<Parts> {
  const info = await readGgufFileInfo(path, { sourceType: 'filesystem', logWarnings: false });
  const insights = await GgufInsights.from(info);
  const options = {
    contextSize: contextLength,
    modelGpuLayers: onGpu ? insights.totalLayers : 0,
    batchSize: Math.min(512, contextLength),
  };
  const bare = insights.estimateContextResourceRequirements({ ...options, includeGraphOverhead: false });
  const whole = insights.estimateContextResourceRequirements({ ...options, includeGraphOverhead: true });
  const cacheBytes = bare.cpuRam + bare.gpuVram;
  return {
    weightsBytes: insights.modelSize,
    cacheBytes,
    overheadBytes: whole.cpuRam + whole.gpuVram - cacheBytes + processBytes,
  };
}

/** Models that this version does not run yet: their weights are known, their buffers are not. */
function plainParts({ sizeBytes }: Inspection): Parts {
  return { weightsBytes: sizeBytes, cacheBytes: 0, overheadBytes: processBytes };
}
