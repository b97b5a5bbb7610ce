/** The database: one SQLite file in the data folder, in WAL mode, checked and migrated when it is opened. */
import Database from 'better-sqlite3';
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { dataHealthSchema } from '../../contract/app.ts';
import { LutraError } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { listBackups, makeBackup, quickCheck, setAside, soundBackup } from './backups.ts';
import { storeError } from './errors.ts';
import { lockFolder } from './lock.ts';
import { migrate, migrations, schemaVersion } from './migrations.ts';
import type { Migration } from './migrations.ts';

export type DataHealth = z.infer<typeof dataHealthSchema>;

export const databaseName = 'lutra.db';

/** How long a write waits for a reader of another process, e.g. a backup tool. */
const busyTimeoutMs = 5000;

export class Store {
  readonly db: Database.Database;
  readonly #folder: string;
  readonly #unlock: () => void;
  #isOpen = true;

  constructor(db: Database.Database, folder: string, unlock: () => void) {
    this.db = db;
    this.#folder = folder;
    this.#unlock = unlock;
  }

  async health(): Promise<DataHealth> {
    const problem = this.#check();
    return { ok: problem === null, problem, backups: await listBackups(this.#folder) };
  }

  /** Copies the database into `backups/` and returns the copy's name. */
  backup(): Promise<string> {
    return makeBackup(this.db, this.#folder, 'by-hand');
  }

  /** Checks that the backup can be taken. Nothing is changed. */
  async prepareRestore(name: string): Promise<void> {
    await soundBackup(this.#folder, name);
  }

  /** After `dispose`: sets the present database aside and copies the backup in its place. */
  async finishRestore(name: string): Promise<void> {
    const unlock = lockFolder(this.#folder);
    try {
      await putBackupInPlace(this.#folder, name);
    } finally {
      unlock();
    }
  }

  async dispose(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.db.close();
    this.#unlock();
  }

  #check(): ErrorData | null {
    const path = join(this.#folder, databaseName);
    try {
      const found = quickCheck(this.db);
      return found === null ? null : damaged(path, found).toData();
    } catch (thrown) {
      const error = storeError(thrown, path);
      return error instanceof LutraError ? error.toData() : damaged(path, error.message).toData();
    }
  }
}

function damaged(path: string, found: string): LutraError {
  return new LutraError({
    code: 'database',
    message: `The database is damaged (${path}): ${found}.`,
    hint: 'Run "lutra recover --restore-newest" to go back to the newest good backup. The damaged file is kept.',
    subject: path,
  });
}

export async function putBackupInPlace(folder: string, name: string): Promise<void> {
  const from = await soundBackup(folder, name);
  const path = join(folder, databaseName);
  const unfinished = `${path}.restoring`;
  try {
    await copyFile(from, unfinished);
    await setAside(folder, path, 'before-restore');
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw storeError(thrown, path);
  }
}

/**
 * Opens or creates the database in `folder`. Fails with `conflict` when another studio has it, with `database`
 * when it is damaged or of a newer form, and with `file-access` or `disk-full` as the disk says.
 */
export async function openStore(folder: string, wanted: readonly Migration[] = migrations): Promise<Store> {
  const path = join(folder, databaseName);
  try {
    await mkdir(folder, { recursive: true });
  } catch (thrown) {
    throw storeError(thrown, folder);
  }
  const unlock = lockFolder(folder);
  let db: Database.Database | null = null;
  try {
    const isNew = (await stat(path).catch(() => null)) === null;
    db = new Database(path, { timeout: busyTimeoutMs });
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    db.pragma('foreign_keys = ON');
    db.pragma('trusted_schema = OFF');
    const found = quickCheck(db);
    if (found !== null) throw damaged(path, found);
    const version = schemaVersion(db);
    if (!isNew && version < wanted.length) await makeBackup(db, folder, `before-form-${wanted.length}`);
    migrate(db, wanted);
    return new Store(db, folder, unlock);
  } catch (thrown) {
    db?.close();
    unlock();
    throw storeError(thrown, path);
  }
}
