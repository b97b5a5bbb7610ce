/** What a model folder or a single checkpoint holds: Hugging Face, diffusers, stable-audio-tools. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Capability } from '../../../../contract/models.ts';
import type { Inspection } from '../../protocol.ts';
import { badFile } from './bad-file.ts';
import { parseJson, readSafetensors, shardsOf } from './safetensors.ts';
import type { TensorInfo } from './safetensors.ts';

const maximumJsonBytes = 20_000_000;

/** What is known before anything could be read. */
export function blank(path: string): Inspection {
  return {
    name: basename(path).replace(/\.(gguf|safetensors)$/i, ''),
    kind: null,
    architecture: null,
    parameterCount: null,
    sizeBytes: 0,
    quantization: null,
    bitsPerWeight: null,
    license: null,
    contextLength: null,
    capabilities: [],
    hasChatTemplate: false,
    status: 'ready',
    problem: null,
  };
}

type Json = Readonly<Record<string, unknown>>;

async function readJson(path: string): Promise<Json | null> {
  const size = (await stat(path).catch(() => null))?.size;
  if (size === undefined) return null;
  if (size > maximumJsonBytes) throw badFile(path, 'it is too large');
  const value = parseJson(path, await readFile(path, 'utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badFile(path, 'it is no JSON object');
  return value as Json;
}

/** A folder's config.json; an empty object where there is none. Fails with `bad-file` when it is damaged. */
export const readConfig = async (folder: string): Promise<Json> => (await readJson(join(folder, 'config.json'))) ?? {};

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const whole = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

interface Weights {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly sizeBytes: number;
}

/** All tensors of the safetensors files in `folder`. Fails with `bad-file` when there are none, or one is damaged. */
export async function readWeights(folder: string): Promise<Weights> {
  const names = await readdir(folder);
  const index = names.find((name) => name.endsWith('.safetensors.index.json'));
  const single = names.filter((name) => name.endsWith('.safetensors')).sort();
  const paths = index === undefined ? single.map((name) => join(folder, name)) : await shardsOf(join(folder, index));
  if (paths.length === 0) {
    const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)$/i.test(name));
    if (pickle !== undefined) throw pickleRefused(join(folder, pickle));
    throw badFile(folder, 'it has a config but no safetensors files', 'Fetch the weights as well.');
  }
  const tensors = new Map<string, TensorInfo>();
  let sizeBytes = 0;
  for (const path of paths) {
    for (const [name, info] of await readSafetensors(path)) tensors.set(name, info);
    sizeBytes += (await stat(path)).size;
  }
  return { tensors, sizeBytes };
}

export function pickleRefused(path: string): Error {
  return badFile(
    path,
    'weights in this form can run code when they are opened, so Lutra refuses them',
    'Get the same model as safetensors or GGUF.',
  );
}

/** Elements that count as parameters; the companions of quantized weights do not. */
function countParameters(tensors: ReadonlyMap<string, TensorInfo>): number {
  let count = 0;
  for (const [name, { dtype, shape }] of tensors) {
    if (
      /\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.[\w.]+|lut_scales|lut_table|tables2?|scales)$/.test(
        name,
      )
    )
      continue;
    const elements = shape.reduce((product, length) => product * length, 1);
    // bitsandbytes packs two 4-bit codes into a byte.
    const isPacked = dtype === 'U8' && tensors.has(`${name}.absmax`);
    count += isPacked ? elements * 2 : elements;
  }
  return count;
}

function quantizationOf(config: Json, tensors: ReadonlyMap<string, TensorInfo>): string | null {
  const quantization = object(config['quantization_config']);
  const method = text(quantization['quant_method']);
  if (method === 'bitsandbytes')
    return quantization['load_in_8bit'] === true
      ? 'bnb int8'
      : `bnb ${text(quantization['bnb_4bit_quant_type']) ?? 'fp4'}`;
  if (method !== null) {
    const bits = quantization['bits'] ?? quantization['num_bits'];
    return typeof bits === 'number' ? `${method} ${bits}-bit` : method;
  }
  const counts = new Map<string, number>();
  for (const { dtype, shape } of tensors.values()) {
    counts.set(dtype, (counts.get(dtype) ?? 0) + shape.reduce((product, length) => product * length, 1));
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most?.[0].toLowerCase() ?? null;
}

async function licenseOf(folder: string): Promise<string | null> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '');
  const head = /^---\r?\n([\s\S]{0,20000}?)\r?\n---/.exec(readme)?.[1] ?? '';
  return /^license:\s*["']?([\w.+-]+)/m.exec(head)?.[1] ?? null;
}

function capabilitiesOf(config: Json): Capability[] {
  const type = text(config['model_type']) ?? '';
  const architectures = Array.isArray(config['architectures']) ? config['architectures'].join(' ') : '';
  if (visionTypes.has(type) || config['vision_config'] !== undefined) return ['caption'];
  if (/ForCausalLM|LMHeadModel/.test(architectures)) return ['chat'];
  if (/^(bert|xlm-roberta|nomic_bert)/.test(type) || /Embedding|BertModel/.test(architectures)) return ['embedding'];
  return [];
}

const notYet = {
  chat: 'Among safetensors models Lutra runs Llama, Mistral, Qwen2 and Qwen3; others work as GGUF.',
  caption: 'Lutra captions with EVLM, Llama 3.2 Vision (mllama) and mPLUG-Owl3.',
  audio: 'Audio comes with a later version.',
  embedding: 'Lutra has no use for embedding models yet.',
};

function notYetProblem(name: string, capability: Capability | undefined): Inspection['problem'] {
  return {
    code: 'not-supported',
    message: `${name} is recognised, but this version of Lutra cannot run it.`,
    hint: capability === undefined ? 'Its kind of model is not known.' : notYet[capability],
  };
}

/** `model_type`s that native/src/text runs. */
const runnableTypes: ReadonlySet<string> = new Set(['llama', 'mistral', 'qwen2', 'qwen3']);

/** `model_type`s that native/src/vision runs. */
const visionTypes: ReadonlySet<string> = new Set(['evlm', 'mllama', 'mplugowl3']);

/** Quantizations that stay as they are in memory; null is none at all. */
const runnableMethods: ReadonlySet<string | null> = new Set([null, 'bitsandbytes', 'lut', 'flute', 'higgs']);

function isRunnable(config: Json): boolean {
  const type = text(config['model_type']) ?? '';
  const textConfig = object(config['text_config']);
  // EVLM's text model is any that runs alone.
  const isKnown = type === 'evlm' ? runnableTypes.has(text(textConfig['model_type']) ?? '') : visionTypes.has(type);
  const methods = [config, textConfig].map((part) => object(part['quantization_config']));
  return (
    (isKnown || runnableTypes.has(type)) &&
    methods.every((own) => runnableMethods.has(text(own['quant_method'])) && own['load_in_8bit'] !== true)
  );
}

export async function inspectHfFolder(folder: string): Promise<Inspection> {
  const config = await readConfig(folder);
  const weights = await readWeights(folder);
  const tokenizer = await readJson(join(folder, 'tokenizer_config.json'));
  const hasTemplateFile = (await stat(join(folder, 'chat_template.jinja')).catch(() => null)) !== null;
  const capabilities = capabilitiesOf(config);
  const parameterCount = countParameters(weights.tensors);
  const name = (text(config['_name_or_path'])?.split(/[/\\]/).at(-1) ?? '') || basename(folder);
  return {
    ...blank(folder),
    name: basename(folder) === '' ? name : basename(folder),
    kind: 'hf',
    architecture: text(config['model_type']),
    parameterCount,
    sizeBytes: weights.sizeBytes,
    quantization: quantizationOf(config, weights.tensors),
    bitsPerWeight: parameterCount === 0 ? null : (weights.sizeBytes * 8) / parameterCount,
    license: await licenseOf(folder),
    contextLength: whole(config['max_position_embeddings'] ?? object(config['text_config'])['max_position_embeddings']),
    capabilities,
    hasChatTemplate:
      hasTemplateFile || text(tokenizer?.['chat_template']) !== null || Array.isArray(tokenizer?.['chat_template']),
    ...((capabilities[0] === 'chat' || capabilities[0] === 'caption') && isRunnable(config)
      ? { status: 'ready' as const, problem: null }
      : { status: 'not-yet' as const, problem: notYetProblem(basename(folder), capabilities[0]) }),
  };
}

export async function inspectDiffusersFolder(folder: string): Promise<Inspection> {
  const index = (await readJson(join(folder, 'model_index.json'))) ?? {};
  const pipeline = text(index['_class_name']);
  const isAudio = pipeline !== null && /audio/i.test(pipeline);
  let sizeBytes = 0;
  let parameterCount = 0;
  let quantization: string | null = null;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || index[entry.name] === undefined) continue;
    const part = join(folder, entry.name);
    if (!(await readdir(part)).some((name) => name.endsWith('.safetensors'))) continue;
    const weights = await readWeights(part);
    sizeBytes += weights.sizeBytes;
    parameterCount += countParameters(weights.tensors);
    if (entry.name === 'transformer' || quantization === null) quantization = quantizationOf({}, weights.tensors);
  }
  if (sizeBytes === 0) throw badFile(folder, 'its parts have no safetensors files', 'Fetch the weights as well.');
  return {
    ...blank(folder),
    kind: 'diffusers',
    architecture: pipeline,
    parameterCount,
    sizeBytes,
    quantization,
    bitsPerWeight: parameterCount === 0 ? null : (sizeBytes * 8) / parameterCount,
    license: await licenseOf(folder),
    capabilities: isAudio ? ['audio'] : [],
    ...(pipeline === 'StableAudioPipeline'
      ? { status: 'ready' as const, problem: null }
      : { status: 'not-yet' as const, problem: notYetProblem(basename(folder), isAudio ? 'audio' : undefined) }),
  };
}

/** A single file of stable-audio-tools, or the folder of one: weights, with `model_config.json` beside them. */
export async function inspectStableAudio(place: string): Promise<Inspection> {
  const path = place.endsWith('.safetensors') ? place : join(place, 'model.safetensors');
  const folder = dirname(path);
  const config = await readJson(join(folder, 'model_config.json'));
  const tensors = await readSafetensors(path);
  const { size } = await stat(path);
  const parameterCount = countParameters(tensors);
  const looksRight = [...tensors.keys()].some(
    (name) => name.includes('pretransform.') || name.startsWith('model.model.'),
  );
  if (config === null || !looksRight) {
    throw badFile(
      path,
      'a safetensors file alone does not say what model it is',
      'Add the whole folder, with its config.json or model_config.json.',
    );
  }
  return {
    ...blank(path),
    name: basename(folder),
    kind: 'stable-audio',
    architecture: text(config['model_type']),
    parameterCount,
    sizeBytes: size,
    quantization: quantizationOf({}, tensors),
    bitsPerWeight: (size * 8) / Math.max(1, parameterCount),
    license: await licenseOf(folder),
    capabilities: ['audio'],
    ...(config['model_type'] === 'diffusion_cond'
      ? { status: 'ready' as const, problem: null }
      : { status: 'not-yet' as const, problem: notYetProblem(basename(folder), 'audio') }),
  };
}
