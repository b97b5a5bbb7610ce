/** The files that someone opened the studio with. */
import { resolve } from 'node:path';

/**
 * What a command line names besides options and the program itself. Not packaged, the program is two words:
 * Electron and the folder of the app. Relative paths begin at the folder where the command was given.
 */
export function openedPaths(argv: readonly string[], folder: string, isPackaged: boolean): string[] {
  return argv
    .slice(isPackaged ? 1 : 2)
    .filter(
      (word) => word !== '' && !word.startsWith('-') && !word.includes('\0') && !/^[a-z][a-z\d+.-]+:\/\//i.test(word),
    )
    .map((word) => resolve(folder, word));
}
