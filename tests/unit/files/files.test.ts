import fc from 'fast-check';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FilesService } from '../../../main/files/service.ts';
import { safeFileName } from '../../../main/files/upload.ts';
import type { Host } from '../../../main/host.ts';
import { openStore } from '../../../main/store/store.ts';
import type { Store } from '../../../main/store/store.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: Store;
let files: FilesService;
let imports: string;

const host: Host = {
  kind: 'headless',
  version: '0',
  pickFiles: null,
  openExternal: null,
  spawnEngine: () => Promise.reject(new Error('no engine in this test')),
};
const context = { signal: new AbortController().signal, connectionId: 'test' };

beforeEach(async () => {
  folder = await temporaryFolder();
  imports = join(folder.path, 'imports');
  store = await openStore(join(folder.path, 'data'));
  files = new FilesService({ db: store.db, host, sessionId: 'one', importsFolder: imports });
});
afterEach(async () => {
  await store.dispose();
  await folder.remove();
});

describe('grants', () => {
  test('an id stands for a real path, links followed once', async () => {
    await writeFile(join(folder.path, 'real'), '12345');
    await symlink(join(folder.path, 'real'), join(folder.path, 'link'));
    const grant = await files.grant(join(folder.path, 'link'));
    expect(grant).toMatchObject({ name: 'link', isFolder: false, sizeBytes: 5 });
    expect(files.resolve(grant.id).path).toBe(join(folder.path, 'real'));
  });

  test('ends with its session', async () => {
    await writeFile(join(folder.path, 'a'), '');
    const { id } = await files.grant(join(folder.path, 'a'));
    const later = new FilesService({ db: store.db, host, sessionId: 'two', importsFolder: imports });
    expect(() => later.resolve(id)).toThrow(expect.objectContaining({ code: 'not-found' }));
  });

  test.each(['relative/path', '', 'a\0b', '../x'])('%j is no path to grant', async (path) => {
    await expect(files.grant(path)).rejects.toMatchObject({ code: 'bad-input' });
  });

  test('a missing file is named', async () => {
    const path = join(folder.path, 'gone');
    await expect(files.grant(path)).rejects.toMatchObject({
      code: 'file-access',
      message: expect.stringContaining('gone'),
    });
  });

  test('a folder is listed with what looks like a model, hidden files left out', async () => {
    const models = join(folder.path, 'models');
    await mkdir(join(models, 'llama'), { recursive: true });
    await writeFile(join(models, 'llama/config.json'), '{}');
    await writeFile(join(models, 'llama/model.safetensors'), '');
    await writeFile(join(models, 'b.gguf'), '');
    await writeFile(join(models, 'a.txt'), '');
    await writeFile(join(models, '.hidden'), '');
    const listing = await files.handlers.browse({ path: models }, context);
    expect(listing.parent).toBe(folder.path);
    expect(listing.entries.map(({ name, looksLikeModel }) => [name, looksLikeModel])).toEqual([
      ['llama', true],
      ['a.txt', false],
      ['b.gguf', true],
    ]);
  });

  test('a desktop studio neither browses nor takes typed paths', () => {
    const desktop = new FilesService({
      db: store.db,
      host: { ...host, kind: 'electron' },
      sessionId: 'x',
      importsFolder: imports,
    });
    expect(() => desktop.handlers.browse({ path: '/' }, context)).toThrow(
      expect.objectContaining({ code: 'not-supported' }),
    );
    expect(() => desktop.handlers.grantPath({ path: '/' }, context)).toThrow(
      expect.objectContaining({ code: 'not-supported' }),
    );
  });
});

describe('an uploaded file', () => {
  const signal = new AbortController().signal;

  test('never replaces another', async () => {
    const first = await files.receiveUpload('a.gguf', Readable.from([Buffer.from('1')]), 1, signal);
    const second = await files.receiveUpload('a.gguf', Readable.from([Buffer.from('22')]), 2, signal);
    expect([first.name, second.name]).toEqual(['a.gguf', 'a (2).gguf']);
  });

  test('that arrives cut, or is cancelled, leaves nothing', async () => {
    await expect(files.receiveUpload('a', Readable.from([Buffer.from('12')]), 5, signal)).rejects.toMatchObject({
      code: 'disconnected',
    });
    const abort = new AbortController();
    const endless = Readable.from(
      (async function* () {
        for (;;) {
          yield Buffer.alloc(1 << 16);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      })(),
    );
    setTimeout(() => abort.abort(), 20);
    await expect(files.receiveUpload('b', endless, null, abort.signal)).rejects.toThrow();
    expect(await readdir(imports)).toEqual([]);
  });

  test('that is larger than the disk is refused before a byte is written', async () => {
    await expect(files.receiveUpload('a', Readable.from([]), 2 ** 60, signal)).rejects.toMatchObject({
      code: 'disk-full',
    });
  });

  test('has a name that is only a name', () => {
    expect(safeFileName('../../水獭 model.bin')).toBe('水獭 model.bin');
    expect(safeFileName('C:\\models\\a.gguf')).toBe('a.gguf');
    expect(safeFileName('...')).toBe('file');
    expect(safeFileName('con.gguf')).toBe('file con.gguf');
    expect(safeFileName(`${'长'.repeat(10_000)}.gguf`)).toMatch(/^长{60,}\.gguf$/u);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (wanted) => {
        const name = safeFileName(wanted);
        expect(name).not.toBe('');
        expect(name).not.toMatch(/[/\\]/);
        expect(['.', '..']).not.toContain(name);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
      }),
    );
  });
});
