/** GGUF files with random weights of a real model's shape, in llama.cpp's own types. Layouts: ggml-common.h. */
import { writeFile } from 'node:fs/promises';
import { encodeGguf, ggufLayerNames, llamaMetadata } from '../../tests/fixtures/gguf.ts';
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

/** The head is tied to the embedding and kept in Q6_K, as llama-quantize does. Returns the bytes of the weights. */
export async function writeGguf(path: string, shape: Shape, name: BlockTypeName): Promise<number> {
  const ones = (length: number): Float32Array => new Float32Array(length).fill(1);
  const tensors: GgufTensorData[] = [matrix('token_embd.weight', shape.hidden, shape.vocabulary, blockTypes.Q6_K, 1)];
  for (let layer = 0; layer < shape.layers; layer += 1) {
    for (const norm of ['attn_norm', 'ffn_norm'])
      tensors.push({ name: `blk.${layer}.${norm}.weight`, shape: [shape.hidden], values: ones(shape.hidden) });
    for (const [projection, rows, columns] of projections(shape)) {
      const tensor = `blk.${layer}.${ggufLayerNames[projection]}.weight`;
      tensors.push(matrix(tensor, columns, rows, blockTypes[name], layer * 10 + tensors.length));
    }
  }
  tensors.push({ name: 'output_norm.weight', shape: [shape.hidden], values: ones(shape.hidden) });
  const metadata = llamaMetadata({ ...shape, contextLength: 131_072, rmsNormEps: 1e-5, ropeTheta: 500_000 });
  const file = encodeGguf(metadata, tensors);
  await writeFile(path, file);
  return tensors.reduce((sum, { values }) => sum + values.byteLength, 0);
}
