/** Opens the studio for one command and closes it, whatever happens. */
import { builtFolders } from '../folders.ts';
import type { Studio } from '../../studio.ts';
import { createStudio } from '../../studio.ts';
import { headlessHost } from '../serve.ts';
import type { CommandContext } from './program.ts';

export async function withStudio<Result>(
  { entryFolder, dataFolder }: CommandContext,
  use: (studio: Studio) => Promise<Result> | Result,
): Promise<Result> {
  const studio = await createStudio({
    host: headlessHost(entryFolder),
    dataFolder,
    demosFolder: builtFolders(entryFolder).demos,
  });
  try {
    await studio.models.demosReady;
    return await use(studio);
  } finally {
    await studio.dispose();
  }
}

/** A signal that fires on the first Ctrl-C; the second one ends the process as usual. */
export function interruptSignal(): AbortSignal {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  return abort.signal;
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

export function formatBytes(bytes: number): string {
  return bytes >= gibibyte ? `${(bytes / gibibyte).toFixed(1)} GiB` : `${(bytes / mebibyte).toFixed(1)} MiB`;
}

/** Text in columns, each as wide as its widest cell. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
