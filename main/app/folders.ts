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
}

/** Built files lie beside the entry point: out/main next to out/renderer and out/preload. */
export function builtFolders(entryFolder: string): BuiltFolders {
  return {
    page: resolve(entryFolder, '../renderer'),
    engineEntry: resolve(entryFolder, 'engine.js'),
    preload: resolve(entryFolder, '../preload/index.cjs'),
  };
}
