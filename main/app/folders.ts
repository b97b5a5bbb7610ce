/** Where things lie on disk. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The user's data folder: `LUTRA_DATA` when set, else the platform's usual place. */
export function defaultDataFolder(): string {
  const chosen = process.env['LUTRA_DATA'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  switch (process.platform) {
    case 'win32':
      return join(process.env['APPDATA'] ?? join(homedir(), 'AppData', 'Roaming'), 'Lutra');
    case 'darwin':
      return join(homedir(), 'Library', 'Application Support', 'Lutra');
    default:
      return join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'lutra');
  }
}

export interface BuiltFolders {
  readonly page: string;
  readonly engineEntry: string;
  readonly preload: string;
  /** The demo models that come with Lutra, and `samples` to try them on. `LUTRA_DEMOS` names another; empty: none. */
  readonly demos: string | null;
}

/**
 * Built files lie beside the entry point: out/main next to out/renderer and out/preload. `resources` is where a packaged
 * studio keeps what must be plain files; else they lie in the repository.
 */
export function builtFolders(entryFolder: string, resources: string | null = null): BuiltFolders {
  const demos = process.env['LUTRA_DEMOS'] ?? resolve(resources ?? resolve(entryFolder, '../..'), 'models');
  return {
    demos: demos === '' ? null : resolve(demos),
    page: resolve(entryFolder, '../renderer'),
    engineEntry: resolve(entryFolder, 'engine.js'),
    preload: resolve(entryFolder, '../preload/index.cjs'),
  };
}
