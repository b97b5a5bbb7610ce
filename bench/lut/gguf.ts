/** GGUF files with random weights of a real model's shape, in llama.cpp's own types. Layouts: ggml-common.h. */
import { writeFile } from 'node:fs/promises';
import { encodeGguf } from '../../tests/fixtures/gguf.ts';
import type { GgufTensorData } from '../../tests/fixtures/gguf.ts';
import { projections, randomBytes } from './folders.ts';
import type { Shape } from './folders.ts';

interface BlockType {
  readonly number: number;
  readonly weights: number;
  readonly bytes: number;
  /** Where a block's f16 scales lie: random bits there would be infinities. */
  readonly scalesAt: readonly number[];
}

export const blockTypes = {
  Q4_0: { number: 2, weights: 32, bytes: 18, scalesAt: [0] },
  IQ4_NL: { number: 20, weights: 32, bytes: 18, scalesAt: [0] },
  Q4_K: { number: 12, weights: 256, bytes: 144, scalesAt: [0, 2] },
  Q3_K: { number: 11, weights: 256, bytes: 110, scalesAt: [108] },
  Q2_K: { number: 10, weights: 256, bytes: 84, scalesAt: [80, 82] },
  Q6_K: { number: 14, weights: 256, bytes: 210, scalesAt: [208] },
} as const satisfies Record<string, BlockType>;
export type BlockTypeName = keyof typeof blockTypes;

const smallHalf = 0x1400; // about 0.001

function matrix(name: string, inputs: number, outputs: number, type: BlockType, seed: number): GgufTensorData {
  const values = randomBytes(((inputs * outputs) / type.weights) * type.bytes, seed);
  for (let block = 0; block < values.length; block += type.bytes) {
    for (const at of type.scalesAt) values.writeUInt16LE(smallHalf, block + at);
  }
  return { name, shape: [inputs, outputs], values, type: type.number };
}

const ggufNames: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** The head is tied to the embedding and kept in Q6_K, as llama-quantize does. Returns the bytes of the weights. */
export async function writeGguf(path: string, shape: Shape, name: BlockTypeName): Promise<number> {
  const ones = (length: number): Float32Array => new Float32Array(length).fill(1);
  const tensors: GgufTensorData[] = [matrix('token_embd.weight', shape.hidden, shape.vocabulary, blockTypes.Q6_K, 1)];
  for (let layer = 0; layer < shape.layers; layer += 1) {
    for (const norm of ['attn_norm', 'ffn_norm'])
      tensors.push({ name: `blk.${layer}.${norm}.weight`, shape: [shape.hidden], values: ones(shape.hidden) });
    for (const [projection, rows, columns] of projections(shape)) {
      const tensor = `blk.${layer}.${ggufNames[projection]}.weight`;
      tensors.push(matrix(tensor, columns, rows, blockTypes[name], layer * 10 + tensors.length));
    }
  }
  tensors.push({ name: 'output_norm.weight', shape: [shape.hidden], values: ones(shape.hidden) });
  const bytes = Array.from({ length: 256 }, (_, at) => `<0x${at.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes];
  while (tokens.length < shape.vocabulary) tokens.push(`t${tokens.length}`);
  const file = encodeGguf(
    {
      'general.architecture': { type: 'string', value: 'llama' },
      'general.name': { type: 'string', value: name },
      'llama.context_length': { type: 'u32', value: 131_072 },
      'llama.embedding_length': { type: 'u32', value: shape.hidden },
      'llama.block_count': { type: 'u32', value: shape.layers },
      'llama.feed_forward_length': { type: 'u32', value: shape.intermediate },
      'llama.attention.head_count': { type: 'u32', value: shape.heads },
      'llama.attention.head_count_kv': { type: 'u32', value: shape.keyValueHeads },
      'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
      'llama.rope.freq_base': { type: 'f32', value: 500_000 },
      'llama.rope.dimension_count': { type: 'u32', value: shape.headSize },
      'llama.vocab_size': { type: 'u32', value: shape.vocabulary },
      'tokenizer.ggml.model': { type: 'string', value: 'llama' },
      'tokenizer.ggml.tokens': { type: 'strings', value: tokens },
      'tokenizer.ggml.scores': { type: 'f32s', value: tokens.map((_, at) => -at) },
      'tokenizer.ggml.token_type': { type: 'i32s', value: tokens.map((_, at) => (at < 3 ? 3 : at < 259 ? 6 : 1)) },
      'tokenizer.ggml.bos_token_id': { type: 'u32', value: 1 },
      'tokenizer.ggml.eos_token_id': { type: 'u32', value: 2 },
      'tokenizer.ggml.unknown_token_id': { type: 'u32', value: 0 },
    },
    tensors,
  );
  await writeFile(path, file);
  return tensors.reduce((sum, { values }) => sum + values.byteLength, 0);
}
