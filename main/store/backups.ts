/** Whole copies of the database in `backups/`, named by time and reason. */
import Database from 'better-sqlite3';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LutraError } from '../../contract/errors.ts';
import { storeError } from './errors.ts';

export interface Backup {
  readonly name: string;
  readonly createdAt: number;
  readonly sizeBytes: number;
}

const keptBackups = 10;
const namePattern = /^lutra-\d{8}T\d{9}Z-[a-z0-9-]+\.db$/;

export function backupsFolder(folder: string): string {
  return join(folder, 'backups');
}

/** Newest first. */
export async function listBackups(folder: string): Promise<Backup[]> {
  const names = await readdir(backupsFolder(folder)).catch(() => []);
  const found = await Promise.all(
    names
      .filter((name) => namePattern.test(name))
      .map(async (name) => {
        const { size, mtimeMs } = await stat(join(backupsFolder(folder), name));
        return { name, createdAt: Math.round(mtimeMs), sizeBytes: size };
      }),
  );
  return found.sort((a, b) => (a.name < b.name ? 1 : -1));
}

/** Copies `db` page by page while it stays usable, then drops the oldest copies. Returns the name. */
export async function makeBackup(db: Database.Database, folder: string, reason: string): Promise<string> {
  const name = `lutra-${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${reason}.db`;
  const path = join(backupsFolder(folder), name);
  const unfinished = `${path}.part`;
  try {
    await mkdir(backupsFolder(folder), { recursive: true });
    await db.backup(unfinished);
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw storeError(thrown, path);
  }
  const old = (await listBackups(folder)).slice(keptBackups);
  await Promise.all(old.map((backup) => rm(join(backupsFolder(folder), backup.name), { force: true })));
  return name;
}

/** The path of a backup that exists and is sound. Fails with `not-found` or `database`. */
export async function soundBackup(folder: string, name: string): Promise<string> {
  const known = namePattern.test(name) && (await listBackups(folder)).some((backup) => backup.name === name);
  if (!known) throw new LutraError({ code: 'not-found', message: `There is no backup "${name}".`, subject: name });
  const path = join(backupsFolder(folder), name);
  const problem = integrityProblem(path);
  if (problem === null) return path;
  throw new LutraError({ code: 'database', message: `The backup "${name}" is damaged: ${problem}.`, subject: name });
}

/** What SQLite finds wrong with the file at `path`; null when it is sound. */
export function integrityProblem(path: string): string | null {
  let db: Database.Database | null = null;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
    return quickCheck(db);
  } catch (thrown) {
    return (thrown as Error).message;
  } finally {
    db?.close();
  }
}

export function quickCheck(db: Database.Database): string | null {
  const rows = db.pragma('quick_check(3)') as { quick_check: string }[];
  const findings = rows.map((row) => row.quick_check).filter((line) => line !== 'ok');
  return findings.length === 0 ? null : findings.join('; ');
}

/** Moves the database and its companions aside; returns the new name, or null where there was none. */
export async function setAside(folder: string, databasePath: string, reason: string): Promise<string | null> {
  const stamp = new Date().toISOString().replaceAll(/[-:.]/g, '');
  const name = `set-aside-${stamp}-${reason}.db`;
  let moved: string | null = null;
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      await rename(`${databasePath}${suffix}`, join(folder, `${name}${suffix}`));
      moved = name;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw storeError(thrown, databasePath);
    }
  }
  return moved;
}
