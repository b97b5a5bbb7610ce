/** `lutra serve` and `npm start` without Electron: the studio in plain Node, opened in a browser. */
import { spawn } from 'node:child_process';
import { LutraError } from '../../contract/errors.ts';
import { spawnNodeEngine } from '../engine/spawn-node.ts';
import type { Host } from '../host.ts';
import { createStudio } from '../studio.ts';
import { builtFolders, defaultDataFolder } from './folders.ts';
import { HttpHost } from './http/server.ts';
import { version } from '../../package.json';

export interface ServeOptions {
  /** 0 picks a free port. */
  readonly port: number;
  readonly dataFolder: string;
  /** Opens the address in the system's browser. */
  readonly open: boolean;
}

export function headlessHost(entryFolder: string): Host {
  return {
    kind: 'headless',
    version,
    pickFiles: null,
    openExternal: null,
    spawnEngine: spawnNodeEngine(builtFolders(entryFolder).engineEntry),
  };
}

/** Runs until the process is told to end. Prints one address a line; each works once. */
export async function serveStudio(entryFolder: string, options: ServeOptions): Promise<void> {
  const studio = await createStudio({
    host: headlessHost(entryFolder),
    dataFolder: options.dataFolder,
    demosFolder: builtFolders(entryFolder).demos,
  });
  let addresses = 0;
  const host = await HttpHost.listen({
    studio,
    pageFolder: builtFolders(entryFolder).page,
    port: options.port,
    pageUrl: process.env['LUTRA_RENDERER_URL'] ?? null,
    onAddress: (address) => {
      addresses += 1;
      if (addresses > 1) return void process.stdout.write(`For another browser: ${address}\n`);
      process.stdout.write(`Lutra is ready. Open this address (it works once):\n\n  ${address}\n\nCtrl-C ends it.\n`);
      if (options.open) openInBrowser(address);
    },
  }).catch(async (thrown: unknown) => {
    await studio.dispose();
    throw thrown;
  });
  await endSignal();
  await host.dispose();
  await studio.dispose();
}

/** Resolves on Ctrl-C, on SIGTERM, and when the process that started this one is gone. */
function endSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    process.once('disconnect', () => resolve());
  });
}

function openInBrowser(address: string): void {
  const [command, ...args] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open'];
  if (command === undefined) return;
  const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true });
  // Without a browser there is still the printed address.
  child.on('error', () => undefined);
  child.unref();
}

/** The data folder from an option, else the default. */
export function chosenDataFolder(option: string | undefined): string {
  if (option === undefined) return defaultDataFolder();
  if (option.trim() === '') {
    throw new LutraError({ code: 'bad-input', message: '--data needs a folder.', subject: '--data' });
  }
  return option;
}
