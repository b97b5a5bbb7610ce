/** The same weights through our engine and through llama.cpp: the same words. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import type { Token } from 'node-llama-cpp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAddon, packageName } from '../../main/engine/addon.ts';
import { encodeGguf, ggufLayerNames, llamaMetadata } from '../fixtures/gguf.ts';
import type { GgufTensorData } from '../fixtures/gguf.ts';
import { repository, temporaryFolder } from '../fixtures/host.ts';

const source = join(import.meta.dirname, '../golden/trained');
const generated = 64;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

interface Config {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  max_position_embeddings: number;
  rms_norm_eps: number;
  vocab_size: number;
  rope_parameters: { rope_theta: number };
}

/** The tensors of a safetensors file of f16, widened. */
async function readHalves(path: string): Promise<Map<string, { shape: number[]; values: Float32Array }>> {
  const bytes = await readFile(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _ignored, ...header } = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [begin, end],
    },
  ] of Object.entries(header)) {
    expect(dtype).toBe('F16');
    const data = Uint8Array.from(bytes.subarray(8 + length + begin, 8 + length + end));
    tensors.set(name, { shape, values: Float32Array.from(new Float16Array(data.buffer)) });
  }
  return tensors;
}

/** llama.cpp turns neighbouring pairs, Hugging Face halves of a head: rows change places. */
function interleaved(values: Float32Array, rows: number, columns: number, headSize: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    const within = row % headSize;
    const from = row - within + (within % 2 === 0 ? within / 2 : headSize / 2 + (within - 1) / 2);
    result.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return result;
}

function ggufName(name: string): string {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
  return `blk.${layer}.${ggufLayerNames[part ?? '']}.weight`;
}

async function writeGguf(path: string, config: Config): Promise<void> {
  const headSize = config.hidden_size / config.num_attention_heads;
  const tensors: GgufTensorData[] = [];
  for (const [name, { shape, values }] of await readHalves(join(source, 'model.safetensors'))) {
    const [rows = 1, columns = rows] = shape;
    const turned = /\.(q|k)_proj\./.test(name) ? interleaved(values, rows, columns, headSize) : values;
    tensors.push({ name: ggufName(name), shape: shape.toReversed(), values: turned });
  }
  const metadata = llamaMetadata({
    contextLength: config.max_position_embeddings,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    intermediate: config.intermediate_size,
    heads: config.num_attention_heads,
    keyValueHeads: config.num_key_value_heads,
    headSize,
    rmsNormEps: config.rms_norm_eps,
    ropeTheta: config.rope_parameters.rope_theta,
    vocabulary: config.vocab_size,
  });
  const file = encodeGguf(metadata, tensors);
  await writeFile(path, file);
}

test('64 greedy tokens are the same', async () => {
  const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as Config;
  const prompt = [300, 410, 520, 333, 600, 450, 301];
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.error });
  const path = join(folder.path, 'same.gguf');
  await writeGguf(path, config);
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: 256, sequences: 1, threads: 2 });
  const theirs: number[] = [];
  for await (const token of context
    .getSequence()
    .evaluate(prompt as Token[], { temperature: 0, yieldEogToken: true })) {
    theirs.push(token);
    if (theirs.length === generated) break;
  }
  await model.dispose();

  const addon = await loadAddon(join(repository, 'build/native', packageName(false)), false);
  const options = {
    folder: source,
    threads: 2,
    precision: 'exact',
    cacheType: 'f32',
    contextSize: 256,
    device: 'cpu',
  } as const;
  const own = await addon.loadTextModel(options, () => undefined);
  const ours: number[] = [];
  await own.generate(
    {
      prompt: Int32Array.from(prompt),
      endIds: new Int32Array(),
      maxTokens: generated,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repeatPenalty: 1,
      seed: 1,
    },
    (kind, value) => {
      if (kind === 1) ours.push(value);
    },
  );
  own.close();
  expect(ours).toHaveLength(generated);
  expect(ours).toEqual(theirs);
});
