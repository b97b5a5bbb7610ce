/** Does a model fit into memory that is free now? An estimate, with its parts. */
import { freemem } from 'node:os';
import { GgufInsights, readGgufFileInfo } from 'node-llama-cpp';
import { defaultContextLimit } from '../../../../contract/chat.ts';
import type { Fit } from '../../../../contract/models.ts';
import type { Inspection } from '../../protocol.ts';
import { estimateFolder } from './folder-fit.ts';
import { readGgufHeader } from './gguf.ts';
import type { GgufHeader } from './gguf.ts';

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
  const isOurs = inspection.kind === 'hf' && inspection.status === 'ready';
  // What looks at pictures runs on the CPU.
  const target = inspection.capabilities.includes('caption') ? null : device;
  const parts =
    inspection.kind === 'gguf'
      ? await ggufParts(path, length, target !== null)
      : isOurs
        ? await folderParts(path, length, target !== null)
        : plainParts(inspection);
  const neededBytes = parts.weightsBytes + parts.cacheBytes + parts.overheadBytes;
  // Of a folder's model that is too large for a card, the CPU runs the layers that do not fit there.
  const isShared = isOurs && target !== null && neededBytes > target.freeBytes;
  const availableBytes = (target?.freeBytes ?? freemem()) + (isShared ? freemem() : 0);
  return {
    ...parts,
    verdict: verdictOf(neededBytes, availableBytes),
    neededBytes,
    availableBytes,
    contextLength: inspection.kind === 'gguf' || isOurs ? length : 0,
    device: isShared ? `${target.name} + CPU` : (target?.name ?? 'CPU'),
  };
}

function verdictOf(neededBytes: number, availableBytes: number): Fit['verdict'] {
  if (availableBytes === 0) return 'unknown';
  if (neededBytes > availableBytes) return 'too-large';
  return neededBytes > availableBytes * tightShare ? 'tight' : 'fits';
}

type Parts = Pick<Fit, 'weightsBytes' | 'cacheBytes' | 'overheadBytes'>;

/** Bytes of one cached value: llama.cpp keeps keys and values in f16. */
const cacheValueBytes = 2;

/** Exact for plain attention: every layer keeps its key/value heads for each token. Null for other architectures. */
export function plainCacheBytes({ metadata }: GgufHeader, contextLength: number): number | null {
  const named = metadata.get('general.architecture');
  const architecture = typeof named === 'string' ? named : '';
  const value = (key: string): number => Number(metadata.get(`${architecture}.${key}`) ?? Number.NaN);
  const isPlain = ![...metadata.keys()].some((key) =>
    /\.(ssm|attention\.sliding_window|attention\.kv_lora_rank|shortconv)/.test(key),
  );
  const heads = value('attention.head_count');
  const headSize = value('embedding_length') / heads;
  const keyValueHeads = metadata.has(`${architecture}.attention.head_count_kv`)
    ? value('attention.head_count_kv')
    : heads;
  const keySize = metadata.has(`${architecture}.attention.key_length`) ? value('attention.key_length') : headSize;
  const valueSize = metadata.has(`${architecture}.attention.value_length`) ? value('attention.value_length') : headSize;
  const bytes = value('block_count') * keyValueHeads * (keySize + valueSize) * contextLength * cacheValueBytes;
  return isPlain && Number.isFinite(bytes) ? bytes : null;
}

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
  const estimatedCache = bare.cpuRam + bare.gpuVram;
  const cacheBytes = plainCacheBytes(await readGgufHeader(path), contextLength) ?? estimatedCache;
  return {
    weightsBytes: insights.modelSize,
    cacheBytes,
    overheadBytes: whole.cpuRam + whole.gpuVram - estimatedCache + processBytes,
  };
}

/** What a graphics card holds beside weights, keys and values. */
const cardBytes = 500e6;

async function folderParts(path: string, contextLength: number, onCard: boolean): Promise<Parts> {
  const { weightsBytes, cardWeightsBytes, cacheBytesPerToken } = await estimateFolder(path);
  return {
    weightsBytes: onCard ? cardWeightsBytes : weightsBytes,
    cacheBytes: cacheBytesPerToken * contextLength,
    overheadBytes: onCard ? cardBytes : processBytes,
  };
}

/** Models that this version does not run yet: their weights are known, their buffers are not. */
function plainParts({ sizeBytes }: Inspection): Parts {
  return { weightsBytes: sizeBytes, cacheBytes: 0, overheadBytes: processBytes };
}
