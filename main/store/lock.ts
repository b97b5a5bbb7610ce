/** One studio per data folder: an exclusive transaction on a small file, which the system ends with the process. */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { LutraError } from '../../contract/errors.ts';
import { storeError } from './errors.ts';

const lockName = 'lutra.lock';

/** Returns a function that gives the folder free. Fails with `conflict` while another studio has it. */
export function lockFolder(folder: string): () => void {
  const path = join(folder, lockName);
  let lock: Database.Database | null = null;
  try {
    lock = new Database(path, { timeout: 0 });
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (thrown) {
    lock?.close();
    if (!String((thrown as { code?: unknown }).code).startsWith('SQLITE_BUSY')) throw storeError(thrown, path);
    throw new LutraError({
      code: 'conflict',
      message: `Another Lutra is already using the data folder ${folder}.`,
      hint: 'Use that window, close it, or choose another data folder with LUTRA_DATA or --data.',
      subject: folder,
    });
  }
  const held = lock;
  return () => held.close();
}
