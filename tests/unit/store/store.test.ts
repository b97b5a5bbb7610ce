import Database from 'better-sqlite3';
import { mkdir, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { migrations } from '../../../main/store/migrations.ts';
import { recoverStore } from '../../../main/store/recover.ts';
import { openStore } from '../../../main/store/store.ts';
import { storeError } from '../../../main/store/errors.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'data');
});
afterEach(() => folder.remove());

const next = { name: 'more', sql: 'CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;' };
const failing = { name: 'wrong', sql: 'CREATE TABLE half (id INTEGER); INSERT INTO nothing VALUES (1);' };

async function addSetting(key: string): Promise<void> {
  const store = await openStore(data);
  store.db.prepare('INSERT INTO settings (key, value) VALUES (?, ?)').run(key, '1');
  await store.dispose();
}

async function settingKeys(): Promise<string[]> {
  const store = await openStore(data);
  const keys = store.db.prepare<[], { key: string }>('SELECT key FROM settings ORDER BY key').all();
  await store.dispose();
  return keys.map(({ key }) => key);
}

describe('the store', () => {
  test('a fresh folder gets every table, in WAL mode, sound, without a backup', async () => {
    const store = await openStore(data);
    const tables = store.db.prepare<[], { name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const names = tables.map(({ name }) => name);
    for (const wanted of [
      'conversations',
      'messages',
      'models',
      'jobs',
      'settings',
      'grants',
      'captions',
      'audio_takes',
    ]) {
      expect(names).toContain(wanted);
    }
    expect(store.db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(await store.health()).toEqual({ ok: true, problem: null, backups: [] });
    await store.dispose();
  });

  test('two studios on one folder: the second says so, and may have it afterwards', async () => {
    const first = await openStore(data);
    await expect(openStore(data)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(data) });
    await first.dispose();
    await (await openStore(data)).dispose();
  });

  test('a migration makes a backup first, and keeps what was there', async () => {
    await addSetting('kept');
    const store = await openStore(data, [...migrations, next]);
    expect(store.db.prepare('SELECT count(*) AS n FROM more').get()).toEqual({ n: 0 });
    expect(store.db.prepare('SELECT key FROM settings').all()).toEqual([{ key: 'kept' }]);
    const form = `before-form-${migrations.length + 1}`;
    expect((await store.health()).backups.map(({ name }) => name)).toEqual([expect.stringContaining(form)]);
    await store.dispose();
  });

  test('a migration that fails leaves everything as it was', async () => {
    await addSetting('kept');
    await expect(openStore(data, [...migrations, failing])).rejects.toMatchObject({
      code: 'database',
      message: expect.stringContaining('wrong'),
    });
    expect(await settingKeys()).toEqual(['kept']);
  });

  test('data of a newer Lutra is not touched', async () => {
    await (await openStore(data, [...migrations, next])).dispose();
    const before = await readFile(join(data, 'lutra.db'));
    await expect(openStore(data)).rejects.toMatchObject({
      code: 'database',
      message: expect.stringContaining('newer'),
    });
    expect((await readFile(join(data, 'lutra.db'))).equals(before)).toBe(true);
  });

  test('a damaged file is named with a way out, and recovery goes back to the newest sound backup', async () => {
    await addSetting('old');
    const store = await openStore(data);
    await store.backup();
    store.db.prepare("INSERT INTO settings (key, value) VALUES ('late', '1')").run();
    await store.dispose();
    const bytes = await readFile(join(data, 'lutra.db'));
    bytes.fill(0xa5, 0, bytes.length);
    await writeFile(join(data, 'lutra.db'), bytes);
    await expect(openStore(data)).rejects.toMatchObject({
      code: 'database',
      hint: expect.stringContaining('lutra recover'),
    });
    await writeFile(
      join(data, 'backups', 'lutra-99990101T000000000Z-by-hand.db'),
      'a damaged backup, newer than the good one',
    );
    expect(await recoverStore(data, 'restore-newest')).toContain('Restored');
    expect(await settingKeys()).toEqual(['old']);
    expect((await readdir(data)).some((name) => name.startsWith('set-aside-'))).toBe(true);
  });

  test('a file cut in the middle is noticed when it is opened', async () => {
    const store = await openStore(data);
    const insert = store.db.prepare('INSERT INTO settings (key, value) VALUES (?, ?)');
    store.db.transaction(() => {
      for (let at = 0; at < 5000; at += 1) insert.run(`key ${at}`, '"x"');
    })();
    await store.dispose();
    const { size } = await stat(join(data, 'lutra.db'));
    await truncate(join(data, 'lutra.db'), Math.floor(size / 2 / 4096) * 4096);
    await expect(openStore(data)).rejects.toMatchObject({ code: 'database' });
  });

  test('starting fresh keeps the former file', async () => {
    await addSetting('old');
    expect(await recoverStore(data, 'start-fresh')).toContain('kept as');
    expect(await settingKeys()).toEqual([]);
  });

  test('without any backup recovery says what else there is', async () => {
    await addSetting('old');
    await expect(recoverStore(data, 'restore-newest')).rejects.toMatchObject({
      hint: expect.stringContaining('--start-fresh'),
    });
  });

  test('restoring sets the present database aside', async () => {
    await addSetting('old');
    const store = await openStore(data);
    const name = await store.backup();
    store.db.prepare("INSERT INTO settings (key, value) VALUES ('new', '1')").run();
    await expect(store.prepareRestore('../../etc/passwd')).rejects.toMatchObject({ code: 'not-found' });
    await store.prepareRestore(name);
    await store.dispose();
    await store.finishRestore(name);
    expect(await settingKeys()).toEqual(['old']);
    expect((await readdir(data)).filter((file) => file.startsWith('set-aside-')).length).toBeGreaterThan(0);
  });

  test('a file where the folder should be is named', async () => {
    await writeFile(data, 'a file');
    await expect(openStore(data)).rejects.toMatchObject({
      code: 'file-access',
      message: expect.stringContaining(data),
    });
  });

  test('what SQLite and the disk say becomes a sentence and a way on', () => {
    const say = (code: string): unknown => storeError(Object.assign(new Error(code), { code }), '/d/lutra.db');
    expect(say('SQLITE_FULL')).toMatchObject({ code: 'disk-full', subject: '/d/lutra.db' });
    expect(say('SQLITE_READONLY_DBMOVED')).toMatchObject({ code: 'file-access' });
    expect(say('SQLITE_BUSY')).toMatchObject({ code: 'database', message: expect.stringContaining('locked') });
    expect(say('SQLITE_IOERR_READ')).toMatchObject({ code: 'database' });
    expect(say('ENOSPC')).toMatchObject({ code: 'disk-full' });
    expect(say('EROFS')).toMatchObject({ code: 'file-access' });
  });

  test('a full disk in mid-work fails that write alone, and nothing before it is lost', async () => {
    const store = await openStore(data);
    store.db.prepare("INSERT INTO settings (key, value) VALUES ('kept', '1')").run();
    // SQLite's own limit stands for a disk that is full: the same code comes back.
    const pages = store.db.pragma('page_count', { simple: true }) as number;
    store.db.pragma(`max_page_count = ${pages}`);
    const fill = (): unknown =>
      store.db.prepare('INSERT INTO settings (key, value) VALUES (?, ?)').run('large', 'x'.repeat(1 << 20));
    expect(fill).toThrow(expect.objectContaining({ code: 'SQLITE_FULL' }));
    await store.dispose();
    expect(await settingKeys()).toEqual(['kept']);
  });

  test('a process killed in mid-write loses at most what was not committed', async () => {
    await mkdir(data, { recursive: true });
    await addSetting('kept');
    const db = new Database(join(data, 'lutra.db'));
    db.pragma('journal_mode = WAL');
    db.exec("BEGIN; INSERT INTO settings (key, value) VALUES ('half', '1');");
    // Left open: the files are as a killed process leaves them.
    const [main, wal] = await Promise.all([readFile(join(data, 'lutra.db')), readFile(join(data, 'lutra.db-wal'))]);
    db.close();
    const copy = join(folder.path, 'copy');
    await mkdir(copy);
    await writeFile(join(copy, 'lutra.db'), main);
    await writeFile(join(copy, 'lutra.db-wal'), wal);
    const store = await openStore(copy);
    expect(store.db.prepare('SELECT key FROM settings').all()).toEqual([{ key: 'kept' }]);
    await store.dispose();
  });
});
