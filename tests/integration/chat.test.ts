import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unzipSync } from 'fflate';
import { defaultSampler } from '../../contract/chat.ts';
import type { Sampler } from '../../contract/chat.ts';
import { writeTinyGguf } from '../fixtures/gguf.ts';
import { temporaryFolder } from '../fixtures/host.ts';
import { addModel, answered, follow, openStudio } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let open: OpenStudio;
let modelId: string;
let endlessId: string;

const shortAnswers: Sampler = { ...defaultSampler, maxTokens: 12, seed: 3 };

async function newChat(sampler = shortAnswers, model = modelId): Promise<string> {
  const { id } = await open.client.chat.create({ modelId: model });
  await open.client.chat.update({ conversationId: id, sampler });
  return id;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeTinyGguf(join(folder.path, 'tiny.gguf'));
  await writeTinyGguf(join(folder.path, 'endless.gguf'), { endless: true, contextLength: 32_768 });
  open = await openStudio(join(folder.path, 'data'));
  modelId = await addModel(open, join(folder.path, 'tiny.gguf'));
  endlessId = await addModel(open, join(folder.path, 'endless.gguf'));
});
afterAll(async () => {
  await open.close();
  await folder.remove();
});

describe('a conversation', () => {
  test('an answer streams in, and ends with its figures', async () => {
    const { client } = open;
    const id = await newChat();
    const { answerId } = await client.chat.send({ conversationId: id, text: 'What is in the river?' });
    const stages: string[] = [];
    const path = await follow(client, id, (messages, event) => {
      if (event.type === 'stage') stages.push(event.stage.stage);
      return messages.at(-1)?.status === 'complete';
    });
    const answer = path.at(-1);
    expect(path.map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(answer).toMatchObject({ id: answerId, status: 'complete', error: null, modelName: 'tiny' });
    expect(answer?.text.trim()).not.toBe('');
    expect(answer?.stats).toMatchObject({ seed: 3, contextSize: 2048 });
    expect(answer?.stats?.generatedTokens).toBeLessThanOrEqual(12);
    expect(stages.length).toBeGreaterThan(0);
    const [listed] = await client.chat.list({});
    expect(listed).toMatchObject({ id, title: 'What is in the river?', isAnswering: false, messageCount: 2 });
  });

  test('the same seed gives the same answer, and a second turn reuses the first', async () => {
    const { client } = open;
    const [first, second] = [await newChat(), await newChat()];
    await client.chat.send({ conversationId: first, text: 'Tell me of otters.' });
    const one = await answered(client, first);
    await client.chat.send({ conversationId: second, text: 'Tell me of otters.' });
    const two = await answered(client, second);
    expect(two.text).toBe(one.text);
    await client.chat.send({ conversationId: second, text: 'Go on.' });
    const third = await answered(client, second);
    expect(third.stats?.cachedTokens).toBeGreaterThan(0);
  });

  test('editing and regenerating add branches, and each can be gone back to', async () => {
    const { client } = open;
    const id = await newChat();
    const sent = await client.chat.send({ conversationId: id, text: 'First question' });
    await answered(client, id);
    const edited = await client.chat.send({ conversationId: id, text: 'Second question', parentId: null });
    await answered(client, id);
    const again = await client.chat.regenerate({ messageId: edited.answerId });
    await answered(client, id);
    const path = await follow(client, id, () => true);
    expect(path.map(({ id: messageId }) => messageId)).toEqual([edited.userMessageId, again.answerId]);
    expect(path[0]?.siblingIds).toEqual([sent.userMessageId, edited.userMessageId]);
    expect(path[1]?.siblingIds).toEqual([edited.answerId, again.answerId]);
    await client.chat.selectBranch({ messageId: sent.userMessageId });
    const back = await follow(client, id, () => true);
    expect(back.map(({ text }) => text)[0]).toBe('First question');
    expect((await client.chat.list({})).find((chat) => chat.id === id)?.messageCount).toBe(5);
  });

  test('stopping keeps the text and its figures', async () => {
    const { client } = open;
    const id = await newChat({ ...defaultSampler, seed: 1 }, endlessId);
    await client.chat.send({ conversationId: id, text: 'Never stop.' });
    await follow(client, id, (path) => (path.at(-1)?.text.length ?? 0) > 100);
    await client.chat.stop({ conversationId: id });
    const [, answer] = await follow(client, id, () => true);
    expect(answer?.status).toBe('stopped');
    expect(answer?.text.length).toBeGreaterThan(100);
    expect(answer?.stats).toMatchObject({ stopReason: 'stopped' });
  });

  test('an answer goes on without a window, and two windows see the same', async () => {
    const { client } = open;
    const id = await newChat({ ...defaultSampler, seed: 2, maxTokens: 400 }, endlessId);
    await client.chat.send({ conversationId: id, text: 'Go.' });
    const [one, two] = await Promise.all([answered(client, id), answered(client, id)]);
    expect(one.text).toBe(two.text);
    const [, stored] = await follow(client, id, () => true);
    expect(stored?.text).toBe(one.text);
    expect(stored?.stats?.stopReason).toBe('length');
  });

  test('while an answer is written, a second one and a change of branch are refused', async () => {
    const { client } = open;
    const id = await newChat({ ...defaultSampler, seed: 1 }, endlessId);
    const { userMessageId } = await client.chat.send({ conversationId: id, text: 'Go.' });
    await expect(client.chat.send({ conversationId: id, text: 'And?' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(client.chat.selectBranch({ messageId: userMessageId })).rejects.toMatchObject({ code: 'conflict' });
    await client.chat.stop({ conversationId: id });
  });

  test('two chats answer one after the other, and the one that waits says so', async () => {
    const { client } = open;
    const first = await newChat({ ...defaultSampler, seed: 1 }, endlessId);
    const second = await newChat();
    await client.chat.send({ conversationId: first, text: 'Go.' });
    await follow(client, first, (path) => (path.at(-1)?.text.length ?? 0) > 20);
    await client.chat.send({ conversationId: second, text: 'Me too.' });
    const stages: string[] = [];
    const waiting = follow(client, second, (path, event) => {
      if (event.type === 'stage') stages.push(event.stage.stage);
      if (stages.includes('queued')) void client.chat.stop({ conversationId: first });
      return path.at(-1)?.status === 'complete';
    });
    const path = await waiting;
    expect(stages[0]).toBe('queued');
    expect(path.at(-1)?.status).toBe('complete');
  });

  test('a context that is too small says by how much', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.update({ conversationId: id, contextSize: 256 });
    await client.chat.send({ conversationId: id, text: 'otter '.repeat(300) });
    const answer = await answered(client, id);
    expect(answer.status).toBe('failed');
    expect(answer.error?.message).toMatch(/takes \d+ tokens, but the context holds 256/);
  });

  test('the meter counts exactly when the model is loaded', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'Count me.' });
    const { stats } = await answered(client, id);
    const now = await client.chat.measure({ conversationId: id, draft: '' });
    const more = await client.chat.measure({ conversationId: id, draft: 'Some more words.' });
    expect(now.isExact).toBe(true);
    expect(now.tokens).toBeGreaterThan(stats?.promptTokens ?? 0);
    expect(more.tokens).toBeGreaterThan(now.tokens);
  });

  test('removing can be undone, and search finds words, pieces of words and Chinese', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'The xylophone costs 50%_ and 水獭在河里游泳' });
    await answered(client, id);
    const find = async (query: string): Promise<string[]> =>
      (await client.chat.search({ query })).map(({ conversationId }) => conversationId);
    expect(await find('xylophone')).toEqual([id]);
    expect(await find('YLOPHO')).toEqual([id]);
    expect(await find('水獭')).toEqual([id]);
    expect(await find('在河里')).toEqual([id]);
    expect(await find('0%')).toEqual([id]);
    expect(await find('xylophone nothing')).toEqual([]);
    expect(await find('"quo\'te* OR NEAR(')).toEqual([]);
    const [hit] = await client.chat.search({ query: 'xylophone' });
    expect(hit?.snippet).toContainEqual({ text: 'xylophone', match: true });
    await client.chat.remove({ conversationId: id });
    expect(await find('xylophone')).toEqual([]);
    await client.chat.restore({ conversationId: id });
    expect(await find('xylophone')).toEqual([id]);
  });

  test('export and import bring back every branch, twice brings nothing twice', async () => {
    const { client } = open;
    const id = await newChat();
    await client.chat.send({ conversationId: id, text: 'Keep me' });
    await answered(client, id);
    await client.chat.send({ conversationId: id, text: 'Keep me too', parentId: null });
    await answered(client, id);
    const before = await follow(client, id, () => true);
    const json = await client.chat.exportChats({ conversationId: id, format: 'json' });
    expect(await client.chat.importChats({ bytes: json.bytes })).toEqual({ imported: 0, skipped: 1 });
    const other = await openStudio(join(folder.path, 'other data'));
    try {
      expect(await other.client.chat.importChats({ bytes: json.bytes })).toEqual({ imported: 1, skipped: 0 });
      const after = await follow(other.client, id, () => true);
      expect(after).toEqual(before);
    } finally {
      await other.close();
    }
    const markdown = await client.chat.exportChats({ conversationId: id, format: 'markdown' });
    expect(markdown.fileName).toBe('Keep me.md');
    expect(new TextDecoder().decode(markdown.bytes)).toContain('Keep me too');
    const all = await client.chat.exportChats({ conversationId: null, format: 'markdown' });
    expect(Object.keys(unzipSync(all.bytes)).length).toBeGreaterThan(3);
  });

  test('an import that is not whole changes nothing', async () => {
    const { client } = open;
    const count = (await client.chat.list({})).length;
    for (const text of ['', 'not json', '{}', '{"format":"lutra-chats","version":1,"conversations":[{"id":"x"}]}']) {
      await expect(client.chat.importChats({ bytes: new TextEncoder().encode(text) })).rejects.toMatchObject({
        code: 'bad-file',
      });
    }
    const loop = {
      format: 'lutra-chats',
      version: 1,
      conversations: [
        {
          id: 'loop',
          title: 'Loop',
          systemPrompt: '',
          sampler: defaultSampler,
          contextSize: null,
          activeLeafId: 'a',
          createdAt: 1,
          updatedAt: 1,
          messages: [
            {
              id: 'a',
              parentId: 'b',
              role: 'user',
              text: 'a',
              status: 'complete',
              error: null,
              modelName: null,
              stats: null,
              createdAt: 1,
            },
            {
              id: 'b',
              parentId: 'a',
              role: 'user',
              text: 'b',
              status: 'complete',
              error: null,
              modelName: null,
              stats: null,
              createdAt: 1,
            },
          ],
        },
      ],
    };
    await expect(
      client.chat.importChats({ bytes: new TextEncoder().encode(JSON.stringify(loop)) }),
    ).rejects.toMatchObject({ code: 'bad-file' });
    expect((await client.chat.list({})).length).toBe(count);
  });

  test('a name of 10,000 characters is refused and names the field; 200 are kept', async () => {
    const { client } = open;
    const id = await newChat();
    await expect(client.chat.update({ conversationId: id, title: 'x'.repeat(10_000) })).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('title'),
    });
    const { title } = await client.chat.update({ conversationId: id, title: '水'.repeat(200) });
    expect(title).toBe('水'.repeat(200));
  });
});

describe('the models of a studio', () => {
  test('a folder is scanned, each model says what it is, and a broken one why', async () => {
    const { client, studio } = open;
    const models = join(folder.path, 'many – 很多');
    await mkdir(join(models, 'deep/er'), { recursive: true });
    await writeTinyGguf(join(models, 'a.gguf'), { seed: 5 });
    await writeTinyGguf(join(models, 'deep/er/b.gguf'), { seed: 6 });
    await writeFile(join(models, 'cut.gguf'), (await readFile(join(models, 'a.gguf'))).subarray(0, 60_000));
    await writeFile(join(models, 'notes.txt'), 'hello');
    const grant = await studio.files.grant(models);
    const added = await client.models.add({ grantId: grant.id });
    const byName = Object.fromEntries(added.models.map((model) => [model.name, model]));
    expect(Object.keys(byName).sort()).toEqual(['a', 'b', 'cut']);
    expect(byName['a']).toMatchObject({
      kind: 'gguf',
      architecture: 'llama',
      status: 'ready',
      license: 'cc0-1.0',
      contextLength: 2048,
      quantization: 'F32',
      hasChatTemplate: true,
      capabilities: ['chat'],
    });
    expect(byName['cut']).toMatchObject({
      status: 'broken',
      problem: { code: 'bad-file', message: expect.stringContaining('cut') },
    });
    expect(await client.jobs.list({})).toEqual([]);
  });

  test('it says with numbers whether a model fits', async () => {
    const fit = await open.client.models.fit({ modelId, contextLength: 2048 });
    expect(fit.verdict).toBe('fits');
    // Two layers, two key/value heads of 16, f16, keys and values.
    expect(fit.cacheBytes).toBe(2 * 2 * 2 * 16 * 2048 * 2);
    expect(fit.neededBytes).toBe(fit.weightsBytes + fit.cacheBytes + fit.overheadBytes);
    const huge = await open.client.models.fit({ modelId, contextLength: 10_000_000 });
    expect(huge.cacheBytes).toBeGreaterThan(fit.cacheBytes * 4000);
  });

  test('a file that moved away is listed as missing, and found again', async () => {
    const { client } = open;
    const path = join(folder.path, 'mover.gguf');
    await writeTinyGguf(path, { seed: 9 });
    const id = await addModel(open, path);
    await rename(path, `${path}.away`);
    const [missing] = await client.models.refresh({ modelId: id });
    expect(missing).toMatchObject({ status: 'missing', problem: { code: 'file-access' } });
    await rename(`${path}.away`, path);
    expect((await client.models.refresh({ modelId: id }))[0]?.status).toBe('ready');
    await client.models.remove({ modelId: id });
    expect((await client.models.list({})).some((model) => model.id === id)).toBe(false);
    expect((await client.models.restore({ modelId: id })).id).toBe(id);
    await rm(path);
  });

  test('checking every byte reports the hash of each file', async () => {
    const { client } = open;
    const { jobId } = await client.models.verify({ modelId });
    for (;;) {
      const job = (await client.jobs.list({})).find(({ id }) => id === jobId);
      if (job?.status === 'done') {
        expect(job.note).toMatch(/^tiny\.gguf: SHA-256 [0-9a-f]{64}$/);
        break;
      }
      expect(['queued', 'running']).toContain(job?.status);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client.jobs.dismiss({ jobId });
  });

  test('a thing that is no model is refused with a way on', async () => {
    const text = join(folder.path, 'a text.txt');
    await writeFile(text, 'hello');
    await writeFile(join(folder.path, 'evil.bin'), 'pickle');
    await expect(addModel(open, text)).rejects.toMatchObject({ code: 'bad-file' });
    await expect(addModel(open, join(folder.path, 'evil.bin'))).rejects.toMatchObject({
      message: expect.stringContaining('run code'),
    });
  });
});
