/** What a Hugging Face folder's model takes when our engine runs it, told from its config and its tensors' headers. */
import { join } from 'node:path';
import { badFile } from './bad-file.ts';
import { readConfig, readWeights } from './folders.ts';
import type { TensorInfo } from './safetensors.ts';

export interface FolderEstimate {
  /** Packed weights as they lie in memory. */
  readonly weightsBytes: number;
  /** The same on a graphics card, which keeps 16 bits where the CPU keeps 8, and the embedding, too. */
  readonly cardWeightsBytes: number;
  /** Keys and values of one token, in f16. */
  readonly cacheBytesPerToken: number;
  readonly contextLength: number;
  readonly vocabSize: number;
}

/** Bits of a weight that is kept in 8 bits, with its scales. */
const byteWeightBits = 8.5;

export async function estimateFolder(folder: string): Promise<FolderEstimate> {
  const given = await readConfig(folder);
  const { tensors } = await readWeights(folder);
  // A model that looks has its text model's numbers apart.
  const own = given['text_config'];
  const config = typeof own === 'object' && own !== null ? (own as Readonly<Record<string, unknown>>) : given;
  const whole = (name: string, otherwise?: number): number => {
    const value = config[name] ?? otherwise;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw badFile(join(folder, 'config.json'), `"${name}" is no positive whole number`);
  };
  const heads = whole('num_attention_heads');
  const headSize = whole('head_dim', Math.max(1, Math.floor(whole('hidden_size') / heads)));
  const keyValueHeads = whole('num_key_value_heads', heads);
  return {
    weightsBytes: packedBytes(tensors),
    cardWeightsBytes: cardBytes(tensors),
    cacheBytesPerToken: whole('num_hidden_layers') * keyValueHeads * headSize * 2 * 2,
    contextLength: whole('max_position_embeddings'),
    vocabSize: whole('vocab_size'),
  };
}

function cardBytes(tensors: ReadonlyMap<string, TensorInfo>): number {
  let bytes = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const elements = shape.reduce((product, length) => product * length, 1);
    bytes += elements * (/^(U8|I8)$/.test(dtype) && !name.endsWith('.absmax') ? 1 : 2);
  }
  return bytes;
}

function packedBytes(tensors: ReadonlyMap<string, TensorInfo>): number {
  let bytes = 0;
  const isTied = ![...tensors.keys()].some((name) => name.endsWith('lm_head.weight'));
  for (const [name, { dtype, shape }] of tensors) {
    const elements = shape.reduce((product, length) => product * length, 1);
    const isFloat = /^(F32|F16|BF16)$/.test(dtype);
    // The embedding is read where it lies in the file; as a head it is packed too.
    if (name.endsWith('embed_tokens.weight') && !isTied) continue;
    if (isFloat && shape.length === 2 && name.endsWith('.weight')) bytes += (elements * byteWeightBits) / 8;
    else if (name.endsWith('.absmax')) bytes += elements * 2;
    else bytes += elements * (dtype === 'F32' ? 4 : dtype === 'U8' || dtype === 'I8' ? 1 : 2);
  }
  return Math.ceil(bytes);
}
