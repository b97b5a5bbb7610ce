/** A studio whose graphics card is the emulation: all that stands between a chat and the kernels is the real thing. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { defaultSampler } from '../../contract/chat.ts';
import type { EngineStatus } from '../../contract/engine.ts';
import { repository, temporaryFolder } from '../fixtures/host.ts';
import { answered, openStudio, unhurriedMs } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';
// @ts-expect-error a plain script without types
import { buildTarget } from '../../scripts/native.mjs';

const model = join(repository, 'tests/golden/trained');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let emulation: string;
let studios = 0;
beforeAll(async () => {
  folder = await temporaryFolder();
  const build = await (buildTarget as (target: string, log: () => void) => Promise<string>)(
    'lutra-cuda-emulation',
    () => {},
  );
  emulation = join(build, 'tests/cuda/liblutra-cuda-emulation.so');
}, 600_000);
afterAll(() => folder.remove());
afterEach(() => {
  delete process.env['LUTRA_CUDA_LIBRARY'];
  delete process.env['LUTRA_EMULATED_BYTES'];
  delete process.env['LUTRA_EMULATED_TAKEN'];
});

async function withStudio<Result>(library: string, use: (studio: OpenStudio) => Promise<Result>): Promise<Result> {
  process.env['LUTRA_CUDA_LIBRARY'] = library;
  const studio = await openStudio(join(folder.path, String((studios += 1))));
  try {
    return await use(studio);
  } finally {
    await studio.close();
  }
}

/** Looking into a folder may take longer than the call that begins it. */
async function addedModel({ studio, client }: OpenStudio): Promise<string> {
  await client.models.add({ grantId: (await studio.files.grant(model)).id });
  const ready = async (): Promise<string | undefined> =>
    (await client.models.list({})).find(({ status }) => status === 'ready')?.id;
  await expect.poll(ready, { timeout: unhurriedMs }).toBeDefined();
  return (await ready()) ?? '';
}

/** Asks the model for a few words, and gives the status of the engine that answered. */
async function ask(studio: OpenStudio): Promise<{ text: string; status: EngineStatus }> {
  const { client } = studio;
  const { id } = await client.chat.create({ modelId: await addedModel(studio) });
  await client.chat.update({ conversationId: id, sampler: { ...defaultSampler, maxTokens: 6, seed: 5 } });
  await client.chat.send({ conversationId: id, text: 'the river' });
  const answer = await answered(client, id);
  expect(answer).toMatchObject({ status: 'complete', error: null });
  await expect.poll(async () => (await client.engine.status({})).loadedModel, { timeout: 20_000 }).not.toBeNull();
  return { text: answer.text, status: await client.engine.status({}) };
}

describe('a graphics card that our kernels run on', () => {
  test('is named with its memory, and a folder’s model runs on it', async () => {
    await withStudio(emulation, async (studio) => {
      const { text, status } = await ask(studio);
      expect(text.trim()).not.toBe('');
      const cardLayers = { count: 3, all: 3 };
      expect(status.loadedModel).toMatchObject({ device: 'Emulated card', kernel: '16-bit CUDA sm_80', cardLayers });
      expect(status.loadedModel?.note).toBeUndefined();
      expect(status.memory.card).toMatchObject({ name: 'Emulated card' });
      expect(status.memory.card?.freeBytes).toBeLessThan(status.memory.card?.totalBytes ?? 0);
      expect(status.report?.devices[0]).toMatchObject({ backend: 'cuda', description: 'Emulated card' });
      expect(status.report?.unavailable.map(({ backend }) => backend)).not.toContain('lutra-cuda');
    });
  });

  test('that is too small leaves the model to the CPU, and the status says why, with the numbers', async () => {
    process.env['LUTRA_EMULATED_BYTES'] = '1000000';
    await withStudio(emulation, async (studio) => {
      const { status } = await ask(studio);
      expect(status.loadedModel?.device).toBe('CPU');
      expect(status.loadedModel?.note).toMatch(/needs about \d+ MB .*on Emulated card, which has \d+ MB free of 1 MB/);
    });
  });

  test('with room for some layers gets those, and the CPU runs the others', async () => {
    process.env['LUTRA_EMULATED_BYTES'] = '5100000';
    await withStudio(emulation, async (studio) => {
      const { text, status } = await ask(studio);
      expect(text.trim()).not.toBe('');
      expect(status.loadedModel).toMatchObject({ device: 'Emulated card', cardLayers: { count: 2, all: 3 } });
      expect(status.loadedModel?.kernel).toMatch(/^16-bit CUDA sm_80; 8-bit /);
    });
  });

  test('whose memory another program takes leaves the chat to the CPU, in mid-answer, and says so', async () => {
    const taken = join(folder.path, 'taken');
    process.env['LUTRA_EMULATED_TAKEN'] = taken;
    await withStudio(emulation, async (studio) => {
      const { client } = studio;
      const { id } = await client.chat.create({ modelId: await addedModel(studio) });
      await client.chat.update({ conversationId: id, sampler: { ...defaultSampler, maxTokens: 4, seed: 5 } });
      const status = async (): Promise<EngineStatus['loadedModel']> => (await client.engine.status({})).loadedModel;
      await client.chat.send({ conversationId: id, text: 'the river' });
      expect(await answered(client, id)).toMatchObject({ status: 'complete' });
      await expect.poll(async () => (await status())?.device, { timeout: 20_000 }).toBe('Emulated card');
      await writeFile(taken, '');
      // More than the positions that the card has memory for already.
      await client.chat.send({ conversationId: id, text: 'the river and the hill '.repeat(40) });
      expect(await answered(client, id)).toMatchObject({ status: 'complete', error: null });
      await expect.poll(async () => (await status())?.device, { timeout: 20_000 }).toBe('CPU');
      expect((await status())?.note).toMatch(/MB free of/);
    });
  });

  test.each([
    [1e9, 'Emulated card', 'decides alone'],
    [1e8, 'Emulated card + CPU', 'and the CPU decide together'],
  ])('with %d bytes: %s %s whether a model fits', async (bytes, device) => {
    process.env['LUTRA_EMULATED_BYTES'] = String(bytes);
    await withStudio(emulation, async (studio) => {
      const fit = await studio.client.models.fit({ modelId: await addedModel(studio), contextLength: null });
      expect(fit).toMatchObject({ device, verdict: 'fits' });
      expect(fit.availableBytes > bytes).toBe(device.endsWith('CPU'));
    });
  });

  test('is not touched where the settings choose the CPU', async () => {
    await withStudio(emulation, async (studio) => {
      await studio.client.settings.update({ patch: { device: 'cpu' } });
      const { status } = await ask(studio);
      expect(status.loadedModel?.device).toBe('CPU');
      expect(status.memory.card).toBeNull();
    });
  });
});

test('without the kernels nothing changes but a reason in the report', async () => {
  await withStudio(join(folder.path, 'nothing.so'), async (studio) => {
    const { status } = await ask(studio);
    expect(status.loadedModel?.device).toBe('CPU');
    const missing = status.report?.unavailable.find(({ backend }) => backend === 'lutra-cuda');
    expect(missing?.reason).toMatch(/not built/);
  });
});
