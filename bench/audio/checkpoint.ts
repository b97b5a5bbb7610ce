/** Stable Audio checkpoints of the published shapes with random weights: what speed is measured on. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { smallHalves, writeSafetensors } from '../lut/folders.ts';

export interface AudioShape {
  readonly name: string;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly kvWidth: number;
  readonly contextWidth: number;
  readonly hasQkNorm: boolean;
  readonly rotary: number;
  readonly numbers: readonly string[];
  readonly frames: number;
}

const textWidth = 768;
const latents = 64;
const strides = [2, 4, 4, 8, 8];
const multiples = [1, 2, 4, 8, 16];
const channels = 128;

/** Stable Audio Open Small and 1.0. */
export const shapes: Record<'small' | 'open', AudioShape> = {
  small: {
    name: 'Small',
    width: 1024,
    depth: 16,
    heads: 8,
    kvWidth: 1024,
    contextWidth: 1024,
    hasQkNorm: true,
    rotary: 32,
    numbers: ['seconds_total'],
    frames: 256,
  },
  open: {
    name: '1.0',
    width: 1536,
    depth: 24,
    heads: 24,
    kvWidth: 768,
    contextWidth: 768,
    hasQkNorm: false,
    rotary: 16,
    numbers: ['seconds_start', 'seconds_total'],
    frames: 1024,
  },
};

type Tensors = [string, number[]][];

function transformer(shape: AudioShape): Tensors {
  const { width, depth, heads, kvWidth, contextWidth, rotary, numbers } = shape;
  const prefix = 'model.model.';
  const all: Tensors = [
    ['timestep_features.weight', [128, 1]],
    ['to_timestep_embed.0.weight', [width, 256]],
    ['to_timestep_embed.0.bias', [width]],
    ['to_timestep_embed.2.weight', [width, width]],
    ['to_timestep_embed.2.bias', [width]],
    ['to_cond_embed.0.weight', [contextWidth, textWidth]],
    ['to_cond_embed.2.weight', [contextWidth, contextWidth]],
    ['to_global_embed.0.weight', [width, textWidth * numbers.length]],
    ['to_global_embed.2.weight', [width, width]],
    ['preprocess_conv.weight', [latents, latents, 1]],
    ['postprocess_conv.weight', [latents, latents, 1]],
    ['transformer.project_in.weight', [width, latents]],
    ['transformer.project_out.weight', [latents, width]],
    ['transformer.rotary_pos_emb.inv_freq', [rotary]],
  ];
  for (let layer = 0; layer < depth; layer += 1) {
    const block = `transformer.layers.${layer}.`;
    for (const norm of ['pre_norm', 'cross_attend_norm', 'ff_norm']) all.push([`${block}${norm}.gamma`, [width]]);
    all.push(
      [`${block}self_attn.to_qkv.weight`, [3 * width, width]],
      [`${block}self_attn.to_out.weight`, [width, width]],
      [`${block}cross_attn.to_q.weight`, [width, width]],
      [`${block}cross_attn.to_kv.weight`, [2 * kvWidth, contextWidth]],
      [`${block}cross_attn.to_out.weight`, [width, width]],
      [`${block}ff.ff.0.proj.weight`, [8 * width, width]],
      [`${block}ff.ff.0.proj.bias`, [8 * width]],
      [`${block}ff.ff.2.weight`, [width, 4 * width]],
      [`${block}ff.ff.2.bias`, [width]],
    );
    if (!shape.hasQkNorm) continue;
    for (const attention of ['self_attn', 'cross_attn'])
      for (const norm of ['q_norm', 'k_norm'])
        for (const part of ['weight', 'bias']) all.push([`${block}${attention}.${norm}.${part}`, [width / heads]]);
  }
  return all.map(([name, size]) => [prefix + name, size]);
}

function decoder(): Tensors {
  const prefix = 'pretransform.model.decoder.layers.';
  const all: Tensors = [];
  const conv = (name: string, size: number[], hasBias = true): void => {
    all.push([`${name}.weight_v`, size], [`${name}.weight_g`, [size[0] ?? 1, 1, 1]]);
    if (hasBias)
      all.push([`${name}.bias`, [name.endsWith('.layers.1') && size[2] !== 7 ? (size[1] ?? 1) : (size[0] ?? 1)]]);
  };
  const snake = (name: string, width: number): void => {
    all.push([`${name}.alpha`, [width]], [`${name}.beta`, [width]]);
  };
  const widths = [...multiples.toReversed().map((multiple) => multiple * channels), channels];
  conv(`${prefix}0`, [widths[0] ?? 0, latents, 7]);
  strides.toReversed().forEach((stride, at) => {
    const [from = 0, to = 0] = [widths[at], widths[at + 1]];
    const block = `${prefix}${at + 1}.layers.`;
    snake(`${block}0`, from);
    all.push(
      [`${block}1.weight_v`, [from, to, 2 * stride]],
      [`${block}1.weight_g`, [from, 1, 1]],
      [`${block}1.bias`, [to]],
    );
    for (let unit = 2; unit < 5; unit += 1) {
      const inner = `${block}${unit}.layers.`;
      snake(`${inner}0`, to);
      conv(`${inner}1`, [to, to, 7]);
      snake(`${inner}2`, to);
      conv(`${inner}3`, [to, to, 1]);
    }
  });
  snake(`${prefix}6`, channels);
  conv(`${prefix}7`, [2, channels, 7], false);
  return all;
}

function numberConditioners({ numbers: ids }: AudioShape): Tensors {
  return ids.flatMap((id): Tensors => {
    const name = `conditioner.conditioners.${id}.embedder.embedding.`;
    return [
      [`${name}0.weights`, [128]],
      [`${name}1.weight`, [textWidth, 257]],
      [`${name}1.bias`, [textWidth]],
    ];
  });
}

function textEncoder(vocabulary: number): Tensors {
  const block = 'encoder.block.0.layer.';
  const square = [textWidth, textWidth];
  return [
    ['shared.weight', [vocabulary, textWidth]],
    ...['q', 'k', 'v', 'o'].map((name): [string, number[]] => [`${block}0.SelfAttention.${name}.weight`, square]),
    [`${block}0.SelfAttention.relative_attention_bias.weight`, [32, 12]],
    [`${block}0.layer_norm.weight`, [textWidth]],
    [`${block}1.layer_norm.weight`, [textWidth]],
    [`${block}1.DenseReluDense.wi.weight`, square],
    [`${block}1.DenseReluDense.wo.weight`, square],
    ['encoder.final_layer_norm.weight', [textWidth]],
  ];
}

const entriesOf = (tensors: Tensors): Parameters<typeof writeSafetensors>[1] =>
  tensors.map(([name, shape], at) => ({
    name,
    dtype: 'F16' as const,
    shape,
    make: () =>
      smallHalves(
        shape.reduce((product, length) => product * length, 1),
        at + 1,
        'f16',
      ),
  }));

/** Writes the model and, beside it, a small T5 of the right width; the tokenizer is the tests'. */
export async function writeAudioFolder(folder: string, shape: AudioShape, goldenFolder: string): Promise<void> {
  const text = join(folder, 't5-base');
  await mkdir(text, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    await cp(join(goldenFolder, 't5-base', name), join(text, name));
  const config = JSON.parse(await readFile(join(goldenFolder, 'model_config.json'), 'utf8')) as {
    sample_size: number;
    model: {
      pretransform: { config: { decoder: { config: { strides: number[] } } } };
      conditioning: { configs: unknown[] };
      diffusion: Record<string, unknown> & { config: { num_heads: number } };
    };
  };
  config.sample_size = shape.frames * strides.reduce((product, stride) => product * stride, 1);
  config.model.pretransform.config.decoder.config.strides = strides;
  config.model.conditioning.configs = [
    { id: 'prompt', type: 't5', config: { t5_model_name: 't5-base', max_length: shape.name === 'Small' ? 64 : 128 } },
    ...shape.numbers.map((id) => ({ id, type: 'number', config: { min_val: 0, max_val: 512 } })),
  ];
  config.model.diffusion['cross_attention_cond_ids'] = ['prompt', ...shape.numbers];
  config.model.diffusion['global_cond_ids'] = shape.numbers;
  config.model.diffusion.config.num_heads = shape.heads;
  if (shape.name === '1.0') delete config.model.diffusion['diffusion_objective'];
  await writeFile(join(folder, 'model_config.json'), JSON.stringify(config));
  const vocabulary = 4096;
  await writeFile(
    join(text, 'config.json'),
    JSON.stringify({
      model_type: 't5',
      d_model: textWidth,
      d_kv: 64,
      d_ff: textWidth,
      num_layers: 1,
      num_heads: 12,
      vocab_size: vocabulary,
      feed_forward_proj: 'relu',
    }),
  );
  await writeSafetensors(join(text, 'model.safetensors'), entriesOf(textEncoder(vocabulary)));
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    entriesOf([...transformer(shape), ...decoder(), ...numberConditioners(shape)]),
  );
}
