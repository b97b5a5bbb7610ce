import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Thumbnails } from '../../../main/caption/thumbnails.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const bytes = (value: number, length = 100): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(value);

test('each is made once, however many ask at once, and is there after a restart', async () => {
  let made = 0;
  const make = async (): Promise<Uint8Array<ArrayBuffer>> => bytes(++made);
  const first = new Thumbnails(folder.path);
  const [one, two] = await Promise.all([first.get('a', 128, make), first.get('a', 128, make)]);
  expect([one?.[0], two?.[0], made]).toEqual([1, 1, 1]);
  expect((await new Thumbnails(folder.path).get('a', 128, make))[0]).toBe(1);
  expect((await first.get('a', 256, make))[0]).toBe(2);
  expect(await first.find('b', 128)).toBeNull();
});

test('a failure is told and not kept', async () => {
  const thumbnails = new Thumbnails(folder.path);
  await expect(thumbnails.get('a', 128, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect((await thumbnails.get('a', 128, async () => bytes(7)))[0]).toBe(7);
});

test('takes no more room than it may; what was not asked for the longest goes first', async () => {
  const thumbnails = new Thumbnails(folder.path, 350);
  for (const key of ['a', 'b', 'c', 'd']) {
    await thumbnails.get(key, 128, async () => bytes(1));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await thumbnails.get('a', 128, async () => bytes(2));
  await thumbnails.sweep();
  expect(await readdir(folder.path)).toHaveLength(3);
  expect(await thumbnails.find('a', 128)).not.toBeNull();
  expect(await thumbnails.find('b', 128)).toBeNull();
});
