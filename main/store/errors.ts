/** SQLite's and the file system's failures, in words that name the way out. */
import { LutraError } from '../../contract/errors.ts';

const explanations: readonly (readonly [
  prefix: string,
  code: 'database' | 'disk-full' | 'file-access',
  what: string,
  hint: string,
])[] = [
  [
    'SQLITE_FULL',
    'disk-full',
    'The disk is full',
    'Free some space on that disk and try again. Nothing that was saved before is lost.',
  ],
  [
    'ENOSPC',
    'disk-full',
    'The disk is full',
    'Free some space on that disk and try again. Nothing that was saved before is lost.',
  ],
  [
    'SQLITE_READONLY',
    'file-access',
    'The database is on a read-only disk or folder',
    'Allow writing there, or choose another data folder with LUTRA_DATA or --data.',
  ],
  [
    'SQLITE_CANTOPEN',
    'file-access',
    'The database cannot be opened or created',
    'Check that the data folder can be read and written.',
  ],
  ['SQLITE_PERM', 'file-access', 'The database may not be opened', 'Check the permissions of the data folder.'],
  [
    'EACCES',
    'file-access',
    'The data folder may not be written',
    'Check its permissions, or choose another with LUTRA_DATA or --data.',
  ],
  [
    'EPERM',
    'file-access',
    'The data folder may not be written',
    'Check its permissions, or choose another with LUTRA_DATA or --data.',
  ],
  ['EROFS', 'file-access', 'The data folder is on a read-only disk', 'Choose another with LUTRA_DATA or --data.'],
  [
    'ENOENT',
    'file-access',
    'The data folder cannot be made: a folder above it is missing or may not be written',
    'Choose another with LUTRA_DATA or --data.',
  ],
  [
    'ENOTDIR',
    'file-access',
    'The data folder is a file, or lies under one',
    'Choose a folder with LUTRA_DATA or --data.',
  ],
  [
    'EEXIST',
    'file-access',
    'The data folder is a file, or lies under one',
    'Choose a folder with LUTRA_DATA or --data.',
  ],
  [
    'SQLITE_NOTADB',
    'database',
    'The database is damaged: this is no SQLite file',
    'Run "lutra recover --restore-newest" to go back to the newest good backup. The damaged file is kept.',
  ],
  [
    'SQLITE_CORRUPT',
    'database',
    'The database is damaged',
    'Run "lutra recover --restore-newest" to go back to the newest good backup. The damaged file is kept.',
  ],
  [
    'SQLITE_BUSY',
    'database',
    'The database is locked by another program',
    'Close the program that has it open and try again.',
  ],
  ['SQLITE_LOCKED', 'database', 'The database is locked', 'Try again in a moment.'],
  [
    'SQLITE_IOERR',
    'database',
    'The disk failed while the database was read or written',
    'Check the disk, and make a copy of the data folder.',
  ],
];

function codeOf(thrown: unknown): string | null {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

/** What went wrong with the database at `path`. Errors of other kinds come back as they are. */
export function storeError(thrown: unknown, path: string): Error {
  if (thrown instanceof LutraError) return thrown;
  const code = codeOf(thrown);
  const found = code === null ? undefined : explanations.find(([prefix]) => code.startsWith(prefix));
  if (found === undefined) return thrown instanceof Error ? thrown : new Error(String(thrown));
  const [, errorCode, what, hint] = found;
  return new LutraError({ code: errorCode, message: `${what} (${path}).`, hint, subject: path }, { cause: thrown });
}

/** Runs `work` and tells its failures as `storeError` does. */
export function explained<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (thrown) {
    throw storeError(thrown, path);
  }
}
