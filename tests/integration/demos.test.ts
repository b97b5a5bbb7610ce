import { cp, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository, temporaryFolder } from '../fixtures/host.ts';
import { openStudio, unhurriedMs } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let demos: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  demos = join(folder.path, 'first place', 'models');
  await mkdir(join(demos, 'samples'), { recursive: true });
  await cp(join(repository, 'tests/golden/trained'), join(demos, 'lutra-guide'), { recursive: true });
  await cp(join(repository, 'models/samples'), join(demos, 'samples'), { recursive: true });
});
afterAll(() => folder.remove());

async function withStudio<Result>(use: (studio: OpenStudio) => Promise<Result>): Promise<Result> {
  const studio = await openStudio(join(folder.path, 'data'), unhurriedMs, demos);
  try {
    await studio.studio.models.demosReady;
    return await use(studio);
  } finally {
    await studio.close();
  }
}

describe('the models that come with Lutra', () => {
  let id = '';

  test('are in the list at the first start, marked, where they lie', async () => {
    const models = await withStudio(({ client }) => client.models.list({}));
    expect(models).toMatchObject([{ name: 'lutra-guide', isDemo: true, status: 'ready', capabilities: ['chat'] }]);
    expect(models[0]?.location).toBe(join(demos, 'lutra-guide'));
    id = models[0]?.id ?? '';
  });

  test('stay the same models when the studio itself lies elsewhere', async () => {
    const moved = join(folder.path, 'second place');
    await rename(join(folder.path, 'first place'), moved);
    demos = join(moved, 'models');
    const models = await withStudio(({ client }) => client.models.list({}));
    expect(models).toMatchObject([{ id, location: join(demos, 'lutra-guide'), status: 'ready' }]);
  });

  test('are hidden, not deleted; stay hidden; and are shown again', async () => {
    await withStudio(async ({ client }) => {
      await client.models.remove({ modelId: id });
      expect(await client.models.list({})).toEqual([]);
    });
    expect(await readdir(join(demos, 'lutra-guide'))).toContain('model.safetensors');
    await withStudio(async ({ client }) => {
      expect(await client.models.list({})).toEqual([]);
      expect(await client.models.showDemos({})).toMatchObject([{ id, isDemo: true }]);
      expect(await client.models.list({})).toMatchObject([{ id, status: 'ready' }]);
    });
  });

  test('bring samples, each granted and none named by its path', async () => {
    const { grants } = await withStudio(({ client }) => client.files.samples({}));
    const names = await readdir(join(repository, 'models/samples'));
    expect(grants.map(({ name }) => name)).toEqual(names.filter((name) => !name.endsWith('.md')).toSorted());
    for (const grant of grants) expect(JSON.stringify(grant)).not.toContain('/');
  });

  test('are none where there is no such folder', async () => {
    const studio = await openStudio(join(folder.path, 'other data'), unhurriedMs, join(folder.path, 'nowhere'));
    await studio.studio.models.demosReady;
    expect(await studio.client.models.list({})).toEqual([]);
    expect(await studio.client.files.samples({})).toEqual({ grants: [] });
    await studio.close();
  });
});
