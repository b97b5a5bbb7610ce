import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptionEvent } from '../../../main/caption/watchers.ts';
import { captionFilterSchema } from '../../../contract/caption.ts';
import type { CaptionItem } from '../../../contract/caption.ts';
import { CaptionList } from '../../../main/caption/list.ts';
import type { ScanRequest } from '../../../main/caption/scan.ts';
import { openStore } from '../../../main/store/store.ts';
import type { Store } from '../../../main/store/store.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: Store;
let list: CaptionList;
let pictures: string;

const everything = captionFilterSchema.parse({});
const scanOf = (patch: Partial<ScanRequest> = {}): ScanRequest => ({
  path: pictures,
  isFolder: true,
  folder: '',
  recursive: true,
  sidecars: 'ignore',
  ...patch,
});
const items = (filter: object = {}): CaptionItem[] => list.list(captionFilterSchema.parse(filter), 0, 500).items;
const named = (name: string): CaptionItem => {
  const found = items().find((item) => item.name === name);
  if (found === undefined) throw new Error(`There is no ${name}.`);
  return found;
};

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await openStore(join(folder.path, 'data'));
  list = new CaptionList(store.db);
  pictures = join(folder.path, 'pictures');
  await mkdir(join(pictures, 'cats'), { recursive: true });
  for (const name of ['frame 10.jpg', 'frame 9.jpg', 'notes.pdf', 'cats/tabby.PNG', 'cats/run.mp4'])
    await writeFile(join(pictures, name), 'x');
  await writeFile(join(pictures, 'cats/tabby.txt'), '\uFEFFcat, tabby\n');
});
afterEach(async () => {
  await store.dispose();
  await folder.remove();
});

describe('adding', () => {
  test('finds pictures and clips in folders, in the order a person counts, once each', async () => {
    expect(await list.add([scanOf()])).toEqual({ added: 4, present: 0, skipped: 0, ignored: 1, problems: [] });
    expect(items().map(({ folder: where, name, kind }) => [where, name, kind])).toEqual([
      ['cats', 'run.mp4', 'clip'],
      ['cats', 'tabby.PNG', 'picture'],
      ['', 'frame 9.jpg', 'picture'],
      ['', 'frame 10.jpg', 'picture'],
    ]);
    expect(await list.add([scanOf()])).toMatchObject({ added: 0, present: 4 });
  });

  test('keeps to the folder itself where that is asked for', async () => {
    await list.add([scanOf({ recursive: false })]);
    expect(items().map(({ name }) => name)).toEqual(['frame 9.jpg', 'frame 10.jpg']);
  });

  test('a text file beside a picture becomes tags, a caption of a person, or a reason to skip', async () => {
    await list.add([scanOf({ sidecars: 'skip' })]);
    expect(items().map(({ name }) => name)).not.toContain('tabby.PNG');
    await list.add([scanOf({ sidecars: 'load' })]);
    expect(named('tabby.PNG')).toMatchObject({ state: 'edited', text: 'cat, tabby', tags: 'cat, tabby' });
    expect(named('run.mp4')).toMatchObject({ state: 'waiting', text: '', tags: '' });
  });

  test.skipIf(process.getuid?.() === 0)('names a folder that may not be read, and takes the others', async () => {
    await chmod(join(pictures, 'cats'), 0o000);
    const { added, problems } = await list.add([scanOf()]);
    await chmod(join(pictures, 'cats'), 0o700);
    expect(added).toBe(2);
    expect(problems).toMatchObject([{ code: 'file-access', subject: join(pictures, 'cats') }]);
  });

  test('names a folder that is gone', async () => {
    const { problems } = await list.add([scanOf({ path: join(folder.path, 'gone') })]);
    expect(problems).toMatchObject([{ code: 'file-access', message: 'The folder "gone" cannot be read.' }]);
  });

  test('a folder that a page names cannot lead out of an export', async () => {
    const path = join(pictures, 'frame 9.jpg');
    await list.add([scanOf({ path, isFolder: false, folder: '../..//etc/./a:b' })]);
    expect(named('frame 9.jpg').folder).toBe('etc/ab');
  });
});

describe('working on the list', () => {
  beforeEach(() => list.add([scanOf()]));

  test('an edit is a person’s, can be taken back, and done again', () => {
    const { id } = named('tabby.PNG');
    expect(list.edit(id, null, 'A tabby cat.')).toMatchObject({ state: 'edited', text: 'A tabby cat.' });
    expect(list.summary()).toMatchObject({ undo: { step: 'edit', items: 1 }, redo: null });
    expect(list.undo()).toBe(true);
    expect(named('tabby.PNG')).toMatchObject({ state: 'waiting', text: '' });
    expect(list.redo()).toBe(true);
    expect(named('tabby.PNG').text).toBe('A tabby cat.');
    expect(list.redo()).toBe(false);
  });

  test('what is locked is not edited, replaced or cleared', () => {
    const { id } = named('tabby.PNG');
    list.edit(id, null, 'A tabby cat.');
    list.lock([id], true);
    expect(() => list.edit(id, null, 'x')).toThrow('locked');
    expect(list.replace(replacing('cat', 'dog'), null, true).items).toBe(0);
    list.clear([id]);
    expect(named('tabby.PNG')).toMatchObject({ text: 'A tabby cat.', isLocked: true });
    expect(items({ state: 'locked' }).map(({ name }) => name)).toEqual(['tabby.PNG']);
  });

  test('replacing counts first, then changes all at once, and one undo takes all of it back', () => {
    for (const name of ['frame 9.jpg', 'frame 10.jpg']) list.edit(named(name).id, null, 'A Cat and a cat. Category.');
    const wanted = { ...replacing('cat', 'otter'), wholeWord: true };
    expect(list.replace(wanted, null, false)).toMatchObject({ matches: 4, items: 2 });
    expect(named('frame 9.jpg').text).toBe('A Cat and a cat. Category.');
    list.replace(wanted, null, true);
    expect(named('frame 10.jpg').text).toBe('A otter and a otter. Category.');
    list.undo();
    expect(items({ search: 'cat and' })).toHaveLength(2);
  });

  test('a replacement is taken word for word', () => {
    const { id } = named('frame 9.jpg');
    list.edit(id, null, 'costs $5 (five)');
    list.replace(replacing('$5 (five)', '$& $1'), null, true);
    expect(named('frame 9.jpg').text).toBe('costs $& $1');
  });

  test('a removed item comes back by undo, in its place', () => {
    const before = items().map(({ name }) => name);
    list.remove([named('frame 9.jpg').id]);
    expect(items()).toHaveLength(3);
    list.undo();
    expect(items().map(({ name }) => name)).toEqual(before);
  });

  test('undo of a removal leaves alone what was added anew since', async () => {
    list.remove([named('frame 9.jpg').id]);
    await list.add([scanOf()]);
    list.undo();
    expect(items().filter(({ name }) => name === 'frame 9.jpg')).toHaveLength(1);
  });

  test('is found by name, folder and text, by state, and in windows', () => {
    list.edit(named('run.mp4').id, null, 'A cat runs. 100 %');
    expect(items({ search: 'cats' })).toHaveLength(2);
    expect(items({ search: '100 %' }).map(({ name }) => name)).toEqual(['run.mp4']);
    expect(items({ state: 'waiting' })).toHaveLength(3);
    expect(list.list(everything, 1, 2)).toMatchObject({
      total: 4,
      items: [{ name: 'tabby.PNG' }, { name: 'frame 9.jpg' }],
    });
    expect(list.summary().counts).toMatchObject({ all: 4, waiting: 3, edited: 1, locked: 0 });
  });
});

const replacing = (find: string, replacement: string): Parameters<CaptionList['replace']>[0] => ({
  find,
  replacement,
  matchCase: false,
  wholeWord: false,
});

describe('who watches', () => {
  test('sees the summary first, few changes one by one, many as one', async () => {
    await list.add([scanOf()]);
    const abort = new AbortController();
    const events: CaptionEvent[] = [];
    const watching = (async () => {
      for await (const event of list.watchers.watch(true, abort.signal)) events.push(event);
    })();
    const until = async (isThere: () => boolean): Promise<void> => {
      while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await until(() => events.length === 1);
    expect(events).toMatchObject([{ type: 'summary', summary: { counts: { all: 4 } } }]);
    list.edit(named('run.mp4').id, null, 'One.');
    list.edit(named('run.mp4').id, null, 'Two.');
    await until(() => events.some(({ type }) => type === 'items'));
    expect(events.find(({ type }) => type === 'items')).toMatchObject({ items: [{ name: 'run.mp4', text: 'Two.' }] });
    expect(list.watchers.decoder()).not.toBeNull();
    abort.abort();
    await watching;
    expect(list.watchers.decoder()).toBeNull();
  });
});

test('ten thousand items are listed, counted and searched', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => ({
    path: `/set/${at}.jpg`,
    folder: `part ${at % 10}`,
    name: `${at}.jpg`,
    kind: 'picture' as const,
    tags: '',
    text: at % 2 === 0 ? `caption number ${at}` : null,
  }));
  expect(list.rows.add(many)).toHaveLength(10_000);
  expect(list.list(everything, 9990, 100).items).toHaveLength(10);
  expect(list.rows.ids(everything)).toHaveLength(10_000);
  expect(items({ search: 'number 4242' })).toHaveLength(1);
  const { matches } = list.replace(replacing('caption', 'legend'), null, true);
  expect(matches).toBe(5000);
  list.undo();
  expect(items({ search: 'legend' })).toHaveLength(0);
});
