import fc from 'fast-check';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspect } from '../../../main/engine/worker/inspect/index.ts';
import { discover } from '../../../main/engine/worker/inspect/discover.ts';
import { plainCacheBytes } from '../../../main/engine/worker/inspect/fit.ts';
import { readGgufHeader } from '../../../main/engine/worker/inspect/gguf.ts';
import { tinyGguf, writeTinyGguf } from '../../fixtures/gguf.ts';
import { temporaryFolder } from '../../fixtures/host.ts';
import { encodeSafetensors, writeFolder } from '../../fixtures/safetensors.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const at = (name: string): string => join(folder.path, name);

async function found(path: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of discover(path, new AbortController().signal)) {
    paths.push(entry.path.slice(folder.path.length + 1));
  }
  return paths.toSorted();
}

const llamaConfig = { model_type: 'llama', architectures: ['LlamaForCausalLM'], max_position_embeddings: 131_072 };
const plainWeights = encodeSafetensors({ 'model.embed_tokens.weight': ['BF16', [64, 32]] });

describe('a Hugging Face folder', () => {
  test('says what it is, with licence, context and chat template', async () => {
    await writeFolder(at('Llama-3.2-1B'), {
      'config.json': llamaConfig,
      'tokenizer_config.json': { chat_template: '{{ messages }}' },
      'README.md': '---\nlicense: llama3.2\ntags: [x]\n---\n# A model',
      'model.safetensors': plainWeights,
    });
    expect(await inspect(at('Llama-3.2-1B'))).toMatchObject({
      name: 'Llama-3.2-1B',
      kind: 'hf',
      architecture: 'llama',
      parameterCount: 2048,
      quantization: 'bf16',
      license: 'llama3.2',
      contextLength: 131_072,
      capabilities: ['chat'],
      hasChatTemplate: true,
      status: 'ready',
    });
  });

  test('of bitsandbytes counts packed weights as what they stand for', async () => {
    await writeFolder(at('bnb'), {
      'config.json': {
        ...llamaConfig,
        quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
      },
      'model.safetensors': encodeSafetensors({
        'q_proj.weight': ['U8', [512, 1]],
        'q_proj.weight.absmax': ['U8', [16]],
        'q_proj.weight.quant_map': ['F32', [16]],
        'q_proj.weight.nested_absmax': ['F32', [1]],
        'q_proj.weight.nested_quant_map': ['F32', [256]],
        'q_proj.weight.quant_state.bitsandbytes__nf4': ['U8', [100]],
        'norm.weight': ['BF16', [32]],
      }),
    });
    expect(await inspect(at('bnb'))).toMatchObject({ quantization: 'bnb nf4', parameterCount: 1024 + 32 });
  });

  test('in shards is read through its index, and a missing shard is named', async () => {
    const shards = { 'model-00001-of-00002.safetensors': plainWeights };
    await writeFolder(at('sharded'), {
      'config.json': llamaConfig,
      ...shards,
      'model.safetensors.index.json': {
        weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
      },
    });
    const { status, problem } = await inspect(at('sharded'));
    expect(status).toBe('broken');
    expect(problem?.message).toContain('model-00002-of-00002.safetensors is missing');
  });

  test('of vision models is known as one that captions', async () => {
    await writeFolder(at('mllama'), {
      'config.json': {
        model_type: 'mllama',
        architectures: ['MllamaForConditionalGeneration'],
        vision_config: {},
        text_config: { max_position_embeddings: 8192 },
      },
      'model.safetensors': plainWeights,
    });
    expect(await inspect(at('mllama'))).toMatchObject({ capabilities: ['caption'], contextLength: 8192 });
  });

  test.each([
    ['truncated weights', { 'config.json': llamaConfig, 'model.safetensors': plainWeights.subarray(0, 200) }, 'cut'],
    ['no weights', { 'config.json': llamaConfig }, 'no safetensors'],
    ['only a pickle', { 'config.json': llamaConfig, 'pytorch_model.bin': 'x' }, 'run code'],
    ['a config that is no JSON', { 'config.json': '{', 'model.safetensors': plainWeights }, 'not valid JSON'],
    [
      'an index that leads elsewhere',
      { 'config.json': llamaConfig, 'model.safetensors.index.json': { weight_map: { a: '../x.safetensors' } } },
      'outside its folder',
    ],
  ])('with %s is broken and says why', async (_name, files, why) => {
    await writeFolder(at('model'), files);
    const { kind, status, problem } = await inspect(at('model'));
    expect([kind, status]).toEqual(['hf', 'broken']);
    expect(problem?.message).toContain(why);
  });
});

describe('sound models', () => {
  test('are recognised as a diffusers folder and as a single file of stable-audio-tools', async () => {
    const part = { 'diffusion_pytorch_model.safetensors': plainWeights };
    await writeFolder(at('open'), {
      'model_index.json': { _class_name: 'StableAudioPipeline', transformer: ['d', 't'], vae: ['d', 'v'] },
      'transformer/config.json': {},
      'transformer/diffusion_pytorch_model.safetensors': part['diffusion_pytorch_model.safetensors'],
      'vae/config.json': {},
      'vae/diffusion_pytorch_model.safetensors': plainWeights,
    });
    await writeFolder(at('small'), {
      'model_config.json': { model_type: 'diffusion_cond' },
      'model.safetensors': encodeSafetensors({
        'model.model.to_cond_embed.0.weight': ['F32', [4, 4]],
        'pretransform.model.x': ['F32', [2]],
      }),
    });
    expect(await inspect(at('open'))).toMatchObject({
      kind: 'diffusers',
      capabilities: ['audio'],
      parameterCount: 4096,
    });
    // The folder, as a demo model is opened, is as good as its file.
    for (const place of ['small/model.safetensors', 'small']) {
      expect(await inspect(at(place))).toMatchObject({
        kind: 'stable-audio',
        name: 'small',
        capabilities: ['audio'],
        status: 'ready',
      });
    }
  });
});

describe('a scan', () => {
  test('finds each model once: folders, single files, first pieces; and no parts', async () => {
    await writeFolder(at('hf'), { 'config.json': llamaConfig, 'a.safetensors': plainWeights });
    await writeFolder(at('deep/open'), {
      'model_index.json': {},
      'vae/config.json': {},
      'vae/x.safetensors': plainWeights,
    });
    await writeFolder(at('gguf'), {
      'big-00001-of-00002.gguf': 'x',
      'big-00002-of-00002.gguf': 'x',
      'one.gguf': 'x',
      'notes.txt': 'x',
    });
    await writeFolder(at('.hidden'), { 'secret.gguf': 'x' });
    expect(await found(folder.path)).toEqual(['deep/open', 'gguf/big-00001-of-00002.gguf', 'gguf/one.gguf', 'hf']);
    expect(await found(at('hf/a.safetensors'))).toEqual(['hf']);
    expect(await found(at('gguf/big-00002-of-00002.gguf'))).toEqual(['gguf/big-00001-of-00002.gguf']);
  });

  test('a split model with a missing piece is broken and names the piece', async () => {
    await mkdir(at('split'));
    await writeTinyGguf(at('split/m-00001-of-00002.gguf'));
    const { problem } = await inspect(at('split/m-00001-of-00002.gguf'));
    expect(problem?.message).toContain('m-00002-of-00002.gguf is missing');
  });
});

describe('the header of a GGUF', () => {
  test('tells the cache of plain attention exactly', async () => {
    await writeTinyGguf(at('tiny.gguf'), { layers: 3 });
    const header = await readGgufHeader(at('tiny.gguf'));
    // Layers, key/value heads, key and value of 16 each, tokens, f16.
    expect(plainCacheBytes(header, 1000)).toBe(3 * 2 * (16 + 16) * 1000 * 2);
  });

  test('damaged in any place is refused or read, but never hangs or throws anything else', async () => {
    const whole = tinyGguf({ layers: 1 });
    const headerBytes = 6000;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(headerBytes), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(whole.length), { nil: undefined }),
        async (flips, cutAt) => {
          const bytes = Buffer.from(whole);
          for (const [position, value] of flips) bytes[position] = value;
          await writeFile(at('damaged.gguf'), bytes.subarray(0, cutAt));
          const { status, problem } = await inspect(at('damaged.gguf'));
          if (status === 'broken') expect(problem?.code).toBe('bad-file');
        },
      ),
      { numRuns: 300, seed: 5 },
    );
  });
});
