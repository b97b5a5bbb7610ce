/** Checkpoints of Llama 3.2 Vision's layout with random weights: what speed is measured on. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { llama1b, projections, randomBytes, smallHalves, writeSafetensors } from '../lut/folders.ts';
import type { Entry } from '../lut/folders.ts';

export interface VisionShape {
  /** All layers of the text model, cross-attention included. */
  readonly layers: number;
  readonly crossLayers: readonly number[];
  /** 4: tables of 4 bits, group 64; 16: as they lie in the file. */
  readonly bits: 4 | 16;
  readonly tower: { readonly layers: number; readonly global: number; readonly taps: readonly number[] };
  readonly imageSize: number;
  readonly tiles: number;
}

export const text = llama1b;
export const imageTokenId = text.vocabulary;
const tower = { width: 1280, heads: 16, inner: 5120, patch: 14 };
const groupSize = 64;
const ratios = 9;

export const tokensOf = ({ imageSize }: VisionShape): number => (imageSize / tower.patch) ** 2 + 1;

/** Multiplications and additions of a tower's pass over so many tiles, in FLOP. */
export function towerFlop(shape: VisionShape): number {
  const tokens = Math.ceil(tokensOf(shape) / 8) * 8 * shape.tiles;
  const { width, inner } = tower;
  const block = 2 * tokens * width * (4 * width + 2 * inner) + 4 * tokens ** 2 * width;
  return (shape.tower.layers + shape.tower.global) * block;
}

const product = (shape: readonly number[]): number => shape.reduce((all, length) => all * length, 1);

function bf16(name: string, shape: number[]): Entry {
  return { name, dtype: 'BF16', shape, make: () => smallHalves(product(shape), name.length, 'bf16') };
}

const half = (value: number): number => new Uint16Array(new Float32Array([value]).buffer)[1] ?? 0;

function ones(name: string, shape: number[]): Entry {
  return {
    name,
    dtype: 'BF16',
    shape,
    make: () => Buffer.from(new Uint16Array(product(shape)).fill(half(1)).buffer),
  };
}

function matrix(prefix: string, rows: number, columns: number, bits: number): Entry[] {
  const name = `${prefix}.weight`;
  if (bits === 16) return [bf16(name, [rows, columns])];
  const codeBytes = (columns * bits) / 8;
  const groups = columns / groupSize;
  const table = Array.from({ length: 2 ** bits }, (_, at) => at / 7.5 - 1);
  return [
    { name: `${name}.lut_codes`, dtype: 'U8', shape: [rows, codeBytes], make: () => randomBytes(rows * codeBytes, 3) },
    {
      name: `${name}.lut_scales`,
      dtype: 'F16',
      shape: [rows, groups],
      make: () => smallHalves(rows * groups, 4, 'f16'),
    },
    {
      name: `${name}.lut_table`,
      dtype: 'F16',
      shape: [2 ** bits],
      make: () => Buffer.from(new Float16Array(table).buffer),
    },
  ];
}

function towerBlock(prefix: string, isGated: boolean): Entry[] {
  const { width, inner } = tower;
  const norms = ['input_layernorm', 'post_attention_layernorm'].flatMap((norm) => [
    ones(`${prefix}${norm}.weight`, [width]),
    bf16(`${prefix}${norm}.bias`, [width]),
  ]);
  return [
    ...norms,
    ...['q', 'k', 'v', 'o'].map((part) => bf16(`${prefix}self_attn.${part}_proj.weight`, [width, width])),
    bf16(`${prefix}mlp.fc1.weight`, [inner, width]),
    bf16(`${prefix}mlp.fc1.bias`, [inner]),
    bf16(`${prefix}mlp.fc2.weight`, [width, inner]),
    bf16(`${prefix}mlp.fc2.bias`, [width]),
    ...(isGated ? [ones(`${prefix}gate_attn`, [1]), ones(`${prefix}gate_ffn`, [1])] : []),
  ];
}

function visionTensors(shape: VisionShape): Entry[] {
  const { width, patch } = tower;
  const tokens = tokensOf(shape);
  const prefix = 'vision_model.';
  const all = [
    bf16(`${prefix}patch_embedding.weight`, [width, 3, patch, patch]),
    bf16(`${prefix}class_embedding`, [width]),
    ones(`${prefix}gated_positional_embedding.gate`, [1]),
    bf16(`${prefix}gated_positional_embedding.embedding`, [tokens, width]),
    bf16(`${prefix}gated_positional_embedding.tile_embedding.weight`, [
      ratioCount(shape),
      shape.tiles * tokens * width,
    ]),
  ];
  for (const name of ['pre_tile_positional_embedding', 'post_tile_positional_embedding'])
    all.push(
      ones(`${prefix}${name}.gate`, [1]),
      bf16(`${prefix}${name}.embedding.weight`, [ratioCount(shape), shape.tiles * width]),
    );
  for (const name of ['layernorm_pre', 'layernorm_post'])
    all.push(ones(`${prefix}${name}.weight`, [width]), bf16(`${prefix}${name}.bias`, [width]));
  for (let layer = 0; layer < shape.tower.layers; layer += 1)
    all.push(...towerBlock(`${prefix}transformer.layers.${layer}.`, false));
  for (let layer = 0; layer < shape.tower.global; layer += 1)
    all.push(...towerBlock(`${prefix}global_transformer.layers.${layer}.`, true));
  const features = width * (1 + shape.tower.taps.length);
  all.push(
    bf16('multi_modal_projector.weight', [text.hidden, features]),
    bf16('multi_modal_projector.bias', [text.hidden]),
  );
  return all;
}

function textTensors(shape: VisionShape): Entry[] {
  const prefix = 'language_model.model.';
  const all = [
    bf16(`${prefix}embed_tokens.weight`, [text.vocabulary + 8, text.hidden]),
    ones(`${prefix}norm.weight`, [text.hidden]),
    ...matrix('language_model.lm_head', text.vocabulary, text.hidden, shape.bits),
  ];
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const block = `${prefix}layers.${layer}.`;
    const isCross = shape.crossLayers.includes(layer);
    for (const norm of ['input_layernorm', 'post_attention_layernorm'])
      all.push(ones(`${block}${norm}.weight`, [text.hidden]));
    for (const [name, rows, columns] of projections(text))
      all.push(
        ...matrix(block + (isCross ? name.replace('self_attn', 'cross_attn') : name), rows, columns, shape.bits),
      );
    if (!isCross) continue;
    for (const norm of ['q_norm', 'k_norm']) all.push(ones(`${block}cross_attn.${norm}.weight`, [text.headSize]));
    all.push(ones(`${block}cross_attn_attn_gate`, [1]), ones(`${block}cross_attn_mlp_gate`, [1]));
  }
  return all;
}

const pairsOf = (tiles: number): number[][] =>
  Array.from({ length: tiles }, (_, row) => row + 1).flatMap((high) =>
    Array.from({ length: Math.floor(tiles / high) }, (_, column) => [high, column + 1]),
  );

const ratioCount = ({ tiles }: VisionShape): number => (tiles === 4 ? ratios : pairsOf(tiles).length + 1);

/** Writes the folder with its processor's settings; no tokenizer. */
export async function writeVisionFolder(folder: string, shape: VisionShape): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, 'model.safetensors'), [...visionTensors(shape), ...textTensors(shape)]);
  const size = { height: shape.imageSize, width: shape.imageSize };
  await writeFile(
    join(folder, 'preprocessor_config.json'),
    JSON.stringify({
      image_processor_type: 'MllamaImageProcessor',
      size,
      max_image_tiles: shape.tiles,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    }),
  );
  const config = {
    architectures: ['MllamaForConditionalGeneration'],
    model_type: 'mllama',
    image_token_index: imageTokenId,
    ...(shape.bits === 16
      ? {}
      : {
          quantization_config: {
            quant_method: 'lut',
            bits: shape.bits,
            group_size: groupSize,
            table: 'nf',
            version: 1,
          },
        }),
    text_config: {
      model_type: 'mllama_text_model',
      vocab_size: text.vocabulary,
      hidden_size: text.hidden,
      intermediate_size: text.intermediate,
      num_hidden_layers: shape.layers,
      num_attention_heads: text.heads,
      num_key_value_heads: text.keyValueHeads,
      cross_attention_layers: shape.crossLayers,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      rope_theta: 500_000,
      tie_word_embeddings: false,
    },
    vision_config: {
      model_type: 'mllama_vision_model',
      hidden_size: tower.width,
      attention_heads: tower.heads,
      intermediate_size: tower.inner,
      num_hidden_layers: shape.tower.layers,
      num_global_layers: shape.tower.global,
      patch_size: tower.patch,
      image_size: shape.imageSize,
      max_num_tiles: shape.tiles,
      intermediate_layers_indices: shape.tower.taps,
      vision_output_dim: tower.width * (1 + shape.tower.taps.length),
      supported_aspect_ratios: pairsOf(shape.tiles),
    },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}
