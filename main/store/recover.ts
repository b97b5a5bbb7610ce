/** The ways out of a damaged database, for `lutra recover`. Nothing is deleted. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LutraError } from '../../contract/errors.ts';
import { listBackups, setAside, soundBackup } from './backups.ts';
import { lockFolder } from './lock.ts';
import { databaseName, putBackupInPlace } from './store.ts';

/** Returns one line that says what was done. Fails with `conflict` while a studio has the folder. */
export async function recoverStore(folder: string, choice: 'restore-newest' | 'start-fresh'): Promise<string> {
  if ((await stat(folder).catch(() => null))?.isDirectory() !== true) {
    throw new LutraError({ code: 'not-found', message: `There is no data folder at ${folder}.`, subject: folder });
  }
  const unlock = lockFolder(folder);
  try {
    if (choice === 'start-fresh') {
      const aside = await setAside(folder, join(folder, databaseName), 'before-fresh-start');
      return aside === null
        ? 'There was no database; the next start makes a fresh one.'
        : `The next start makes a fresh database. The former one is kept as ${join(folder, aside)}.`;
    }
    const name = await newestSound(folder);
    await putBackupInPlace(folder, name);
    return `Restored ${name}. The former database is kept beside it in ${folder}.`;
  } finally {
    unlock();
  }
}

async function newestSound(folder: string): Promise<string> {
  for (const { name } of await listBackups(folder)) {
    const isSound = await soundBackup(folder, name).then(
      () => true,
      () => false,
    );
    if (isSound) return name;
  }
  throw new LutraError({
    code: 'not-found',
    message: `There is no sound backup in ${folder}.`,
    hint: 'Begin with empty data: lutra recover --start-fresh. The damaged database is kept.',
    subject: folder,
  });
}
