import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultSampler } from '../../contract/chat.ts';
import type { Sampler } from '../../contract/chat.ts';
import { defaultQuantizeOptions } from '../../contract/models.ts';
import type { Job } from '../../contract/jobs.ts';
import { writeTinyGguf } from '../fixtures/gguf.ts';
import { temporaryFolder } from '../fixtures/host.ts';
import { addModel, answered, follow, openStudio } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

const golden = join(import.meta.dirname, '../golden/chat/tiny-llama');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let open: OpenStudio;
let modelId: string;

const shortAnswers: Sampler = { ...defaultSampler, maxTokens: 12, seed: 3 };

async function newChat(sampler: Sampler = shortAnswers, model = modelId): Promise<string> {
  const { id } = await open.client.chat.create({ modelId: model });
  await open.client.chat.update({ conversationId: id, sampler });
  return id;
}

async function ended(jobId: string): Promise<Job> {
  for (;;) {
    const job = (await open.client.jobs.list({})).find(({ id }) => id === jobId);
    if (job !== undefined && job.status !== 'queued' && job.status !== 'running') return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await cp(golden, join(folder.path, 'tiny-llama'), { recursive: true });
  open = await openStudio(join(folder.path, 'data'));
  modelId = await addModel(open, join(folder.path, 'tiny-llama'));
});
afterAll(async () => {
  await open.close();
  await folder.remove();
});

describe('a Hugging Face folder', () => {
  test('is ready for chat, and answers with its figures', async () => {
    const { client } = open;
    const [model] = await client.models.list({});
    expect(model).toMatchObject({ kind: 'hf', status: 'ready', capabilities: ['chat'], canQuantize: true });
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'Hello 水獭 🦦' });
    const answer = await answered(client, id);
    expect(answer).toMatchObject({ status: 'complete', error: null, modelName: 'tiny-llama' });
    expect(answer.stats).toMatchObject({ seed: 3, contextSize: 2048 });
    expect(answer.stats?.generatedTokens).toBeLessThanOrEqual(12);
    expect(answer.text).not.toContain('<|');
  });

  test('keeps its keys and values in 8 bits where that is set', async () => {
    const { client } = open;
    await client.settings.update({ patch: { chatCache: 'q8' } });
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'Hello 水獭 🦦' });
    expect(await answered(client, id)).toMatchObject({ status: 'complete', error: null });
    await client.settings.update({ patch: { chatCache: 'f16' } });
  });

  test('the same seed gives the same answer, another seed another, and a second turn reuses the first', async () => {
    const { client } = open;
    const texts: string[] = [];
    for (const seed of [3, 3, 4]) {
      const id = await newChat({ ...shortAnswers, temperature: 1.5, seed });
      await client.chat.send({ conversationId: id, text: 'Tell me of otters.' });
      texts.push((await answered(client, id)).text);
      if (texts.length < 3) continue;
      await client.chat.send({ conversationId: id, text: 'Go on.' });
      const second = await answered(client, id);
      expect(second.stats?.cachedTokens).toBeGreaterThan(5);
    }
    expect(texts[1]).toBe(texts[0]);
    expect(texts[2]).not.toBe(texts[0]);
  });

  test('its length in tokens is told exactly once it is loaded', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'One' });
    const answer = await answered(client, id);
    const measured = await client.chat.measure({ conversationId: id, draft: '' });
    expect(measured.isExact).toBe(true);
    expect(measured.tokens).toBeGreaterThanOrEqual(answer.stats?.promptTokens ?? Number.NaN);
  });

  test('a long answer can be stopped, and what was said is kept', async () => {
    const { client } = open;
    const id = await newChat({
      ...defaultSampler,
      seed: 2,
      maxTokens: 1900,
      temperature: 2,
      topK: 0,
      topP: 1,
      minP: 0,
    });
    await client.chat.send({ conversationId: id, text: 'Never stop.' });
    await follow(client, id, (messages) => (messages.at(-1)?.text.length ?? 0) > 3);
    await client.chat.stop({ conversationId: id });
    const answer = await answered(client, id);
    expect(['stopped', 'complete']).toContain(answer.status);
    expect(answer.text.length).toBeGreaterThan(3);
  });

  test('a chat that is longer than the context is refused with numbers', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.update({ conversationId: id, contextSize: 64 });
    await client.chat.send({ conversationId: id, text: 'many words '.repeat(100) });
    expect(await answered(client, id)).toMatchObject({ status: 'failed', error: { code: 'bad-input' } });
  });

  test('takes turns with a GGUF file', async () => {
    const { client } = open;
    await writeTinyGguf(join(folder.path, 'tiny.gguf'));
    const gguf = await addModel(open, join(folder.path, 'tiny.gguf'));
    for (const model of [gguf, modelId, gguf, modelId]) {
      const id = await newChat(shortAnswers, model);
      await client.chat.send({ conversationId: id, text: 'Whose turn is it?' });
      expect(await answered(client, id)).toMatchObject({ status: 'complete', error: null });
    }
  });
});

describe('what is wrong in a folder is named, and the studio goes on', () => {
  const cases: [string, (path: string) => Promise<unknown>, string][] = [
    ['no tokenizer', (path) => rm(join(path, 'tokenizer.json')), 'tokenizer.json'],
    [
      'a template that throws',
      (path) => writeFile(join(path, 'chat_template.jinja'), "{{ raise_exception('No!') }}"),
      'No!',
    ],
    [
      'weights of another shape',
      async (path) => {
        const config = await readFile(join(path, 'config.json'), 'utf8');
        await writeFile(
          join(path, 'config.json'),
          config.replace('"intermediate_size": 128', '"intermediate_size": 96'),
        );
      },
      'mlp.gate_proj.weight',
    ],
  ];
  test.each(cases)('%s', async (what, damage, part) => {
    const { client } = open;
    const path = join(folder.path, what);
    await cp(golden, path, { recursive: true });
    await damage(path);
    const id = await newChat(shortAnswers, await addModel(open, path));
    await client.chat.send({ conversationId: id, text: 'Hello' });
    const answer = await answered(client, id);
    expect(answer).toMatchObject({ status: 'failed', error: { code: 'bad-file' } });
    expect(answer.error?.message).toContain(part);
    const other = await newChat();
    await client.chat.send({ conversationId: other, text: 'Hello' });
    expect(await answered(client, other)).toMatchObject({ status: 'complete' });
  });
});

describe('a smaller copy', () => {
  test.each([2, 3, 4] as const)('of %i bits is predicted, made by a job, listed, and chats', async (bits) => {
    const { client } = open;
    const options = { ...defaultQuantizeOptions, bits };
    const prediction = await client.models.predictQuantized({ modelId, options });
    expect(prediction.weightBytes).toBeLessThan(prediction.sourceBytes);
    const { jobId } = await client.models.quantize({ modelId, options });
    const job = await ended(jobId);
    expect(job).toMatchObject({ status: 'done', error: null });
    const copy = (await client.models.list({})).find(({ location }) => location === prediction.destination);
    expect(copy).toMatchObject({ status: 'ready', canQuantize: false, quantization: `lut ${bits}-bit` });
    const files = await readdir(prediction.destination);
    expect(files).toContain('tokenizer.json');
    const id = await newChat(shortAnswers, copy?.id);
    await client.chat.send({ conversationId: id, text: 'Hello' });
    expect(await answered(client, id)).toMatchObject({ status: 'complete', error: null });
  });

  test('of a copy is refused with a reason', async () => {
    const { client } = open;
    const copy = (await client.models.list({})).find(({ quantization }) => quantization === 'lut 4-bit');
    const asked = client.models.quantize({ modelId: copy?.id ?? '', options: defaultQuantizeOptions });
    await expect(asked).rejects.toMatchObject({ code: 'not-supported' });
  });
});
