/** Folders in our LUT layout with random weights of a real model's shape: what speed is measured on. */
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Shape {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly vocabulary: number;
}

/** Llama-3.2-1B's. */
export const llama1b: Shape = {
  layers: 16,
  hidden: 2048,
  intermediate: 8192,
  heads: 32,
  keyValueHeads: 8,
  headSize: 64,
  vocabulary: 128_256,
};

/** Every quantized projection of a layer: name, outputs, inputs. */
export function projections(shape: Shape): [string, number, number][] {
  const queries = shape.heads * shape.headSize;
  const keys = shape.keyValueHeads * shape.headSize;
  return [
    ['self_attn.q_proj', queries, shape.hidden],
    ['self_attn.k_proj', keys, shape.hidden],
    ['self_attn.v_proj', keys, shape.hidden],
    ['self_attn.o_proj', shape.hidden, queries],
    ['mlp.gate_proj', shape.intermediate, shape.hidden],
    ['mlp.up_proj', shape.intermediate, shape.hidden],
    ['mlp.down_proj', shape.hidden, shape.intermediate],
  ];
}

/** Bytes without order, the same on every run (xorshift). */
export function randomBytes(count: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(count / 4));
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state >>> 0;
  }
  return Buffer.from(words.buffer, 0, count);
}

/** Small values of f16 or bf16: random mantissas and signs under a fixed exponent. */
export function smallHalves(count: number, seed: number, kind: 'f16' | 'bf16'): Buffer {
  const bytes = randomBytes(count * 2, seed);
  for (let i = 0; i < count; i += 1) {
    const high = bytes[2 * i + 1] ?? 0;
    bytes[2 * i + 1] = kind === 'f16' ? (high & 0x83) | 0x20 : (high & 0x80) | 0x3c;
    if (kind === 'bf16') bytes[2 * i] = (bytes[2 * i] ?? 0) & 0x7f;
  }
  return bytes;
}

export interface Entry {
  readonly name: string;
  readonly dtype: 'U8' | 'F16' | 'BF16';
  readonly shape: number[];
  readonly make: () => Buffer;
}

const byteSize = { U8: 1, F16: 2, BF16: 2 };

export async function writeSafetensors(path: string, entries: readonly Entry[]): Promise<void> {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const { name, dtype, shape } of entries) {
    const end = offset + shape.reduce((product, length) => product * length, 1) * byteSize[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = createWriteStream(path);
  const write = (bytes: Buffer): Promise<void> =>
    new Promise((resolve, reject) => file.write(bytes, (error) => (error == null ? resolve() : reject(error))));
  await write(length);
  await write(text);
  for (const { make } of entries) await write(make());
  await new Promise((resolve) => file.end(resolve));
}

/** Standard table of a NormalFloat of that many bits, rounded to f16. */
const tables: Record<number, readonly number[]> = {
  2: [-1, 0, 0.3379, 1],
  3: [-1, -0.4786, -0.2171, 0, 0.1609, 0.3379, 0.5626, 1],
  4: [
    -1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.723,
    1,
  ],
};

function halves(values: readonly number[]): Buffer {
  return Buffer.from(new Float16Array(values).buffer);
}

export interface FolderOptions {
  readonly shape: Shape;
  readonly bits: number;
  readonly groupSize: number;
}

export async function writeLutFolder(folder: string, { shape, bits, groupSize }: FolderOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const ones = (count: number): Buffer => halves(Array.from({ length: count }, () => 1));
  const entries: Entry[] = [
    {
      name: 'model.embed_tokens.weight',
      dtype: 'BF16',
      shape: [shape.vocabulary, shape.hidden],
      make: () => smallHalves(shape.vocabulary * shape.hidden, 1, 'bf16'),
    },
    { name: 'model.norm.weight', dtype: 'F16', shape: [shape.hidden], make: () => ones(shape.hidden) },
  ];
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const prefix = `model.layers.${layer}.`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      const name = `${prefix}${norm}.weight`;
      entries.push({ name, dtype: 'F16', shape: [shape.hidden], make: () => ones(shape.hidden) });
    }
    for (const [name, rows, columns] of projections(shape)) {
      const weight = `${prefix}${name}.weight`;
      const codeBytes = Math.ceil((columns * bits) / 8);
      const groups = Math.ceil(columns / groupSize);
      const seed = layer * 10 + entries.length;
      entries.push(
        {
          name: `${weight}.lut_codes`,
          dtype: 'U8',
          shape: [rows, codeBytes],
          make: () => randomBytes(rows * codeBytes, seed),
        },
        {
          name: `${weight}.lut_scales`,
          dtype: 'F16',
          shape: [rows, groups],
          make: () => smallHalves(rows * groups, seed, 'f16'),
        },
        { name: `${weight}.lut_table`, dtype: 'F16', shape: [1 << bits], make: () => halves(tables[bits] ?? []) },
      );
    }
  }
  await writeSafetensors(join(folder, 'model.safetensors'), entries);
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      vocab_size: shape.vocabulary,
      hidden_size: shape.hidden,
      intermediate_size: shape.intermediate,
      num_hidden_layers: shape.layers,
      num_attention_heads: shape.heads,
      num_key_value_heads: shape.keyValueHeads,
      head_dim: shape.headSize,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      rope_theta: 500_000,
      tie_word_embeddings: true,
      quantization_config: { quant_method: 'lut', bits, group_size: groupSize, table: 'nf', version: 1 },
    }),
  );
}
