/** Forward-only migrations. `user_version` is the number of the last one that ran. */
import type Database from 'better-sqlite3';
import { LutraError } from '../../contract/errors.ts';
import foundation from './migrations/0001-foundation.sql?raw';
import captions from './migrations/0002-captions.sql?raw';

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** In order; the first has number 1. Never edit one that has landed. */
export const migrations: readonly Migration[] = [
  { name: 'foundation', sql: foundation },
  { name: 'captions', sql: captions },
];

export function schemaVersion(db: Database.Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

/** Runs what is missing, each in one transaction: a failure leaves the database at the last good version. */
export function migrate(db: Database.Database, wanted: readonly Migration[] = migrations): void {
  const present = schemaVersion(db);
  if (present > wanted.length) {
    throw new LutraError({
      code: 'database',
      message: `The data was written by a newer Lutra (form ${present}; this one knows ${wanted.length}).`,
      hint: 'Start the newer Lutra, or choose another data folder.',
    });
  }
  for (let version = present + 1; version <= wanted.length; version += 1) {
    const migration = wanted[version - 1];
    if (migration === undefined) return;
    try {
      db.transaction(() => {
        db.exec(migration.sql);
        db.pragma(`user_version = ${version}`);
      }).immediate();
    } catch (thrown) {
      if (String((thrown as { code?: unknown }).code).startsWith('SQLITE_FULL')) throw thrown;
      throw new LutraError(
        {
          code: 'database',
          message: `The database could not be brought to form ${version} (${migration.name}): ${(thrown as Error).message}.`,
          hint: 'It is unchanged, and a backup was made. Keep using the earlier Lutra and report this.',
        },
        { cause: thrown },
      );
    }
  }
}
