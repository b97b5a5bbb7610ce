/** Where things are, and how steps run. Plain Node 20, no dependencies: this runs before anything is installed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const modulesFolder = join(root, 'node_modules');
export const buildFolder = join(root, 'build');

const isWindows = process.platform === 'win32';

/** Node 24, as the npm package `node` brings it. */
export const node24 = join(modulesFolder, 'node', 'bin', isWindows ? 'node.exe' : 'node');

/** Something that the person at the keyboard can mend. Its message says how. */
export class SetupError extends Error {}

export function findOnPath(...names) {
  const endings = isWindows ? ['.exe', '.cmd', ''] : [''];
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      for (const ending of endings) {
        const path = join(folder, name + ending);
        if (folder !== '' && existsSync(path)) return path;
      }
    }
  }
  return null;
}

/** The environment in which `node` is Node 24 and the project's tools are at hand. */
export function projectEnvironment(extra = {}) {
  const path = [dirname(node24), join(modulesFolder, '.bin'), process.env.PATH ?? ''].join(delimiter);
  return { ...process.env, PATH: path, ...extra };
}

/** Runs a program and resolves with its exit code. Its output is shown, or collected into `lines` when that is given. */
export function run(command, args, { cwd = root, env = process.env, lines = null } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['inherit', lines === null ? 'inherit' : 'pipe', lines === null ? 'inherit' : 'pipe'],
      shell: isWindows && /\.cmd$/i.test(command),
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text) => lines.push(text));
    }
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
  });
}

/** Runs one of the project's tools (`vitest`, `tsc`, …) on Node 24. */
export function runTool(name, args, options = {}) {
  const command = join(modulesFolder, '.bin', isWindows ? `${name}.cmd` : name);
  return run(command, args, { ...options, env: projectEnvironment(options.env) });
}

async function* filesUnder(path) {
  const stats = await stat(path).catch(() => null);
  if (stats === null) return;
  if (stats.isFile()) {
    yield path;
    return;
  }
  const entries = await readdir(path, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) yield* filesUnder(join(path, entry.name));
}

/** One hash over the names and contents of files and folders, given relative to the root, and some words. */
export async function fingerprint(paths, words = []) {
  const hash = createHash('sha256').update(words.join('\0'));
  for (const path of paths) {
    for await (const file of filesUnder(join(root, path))) {
      hash.update(`\0${relative(root, file)}\0`).update(await readFile(file));
    }
  }
  return hash.digest('hex');
}

/** Does `work` unless it was done for the same `mark` before. Returns whether it was done now. */
export async function once(name, mark, work) {
  const stamp = join(buildFolder, `${name}.stamp`);
  if ((await readFile(stamp, 'utf8').catch(() => '')) === mark) return false;
  await work();
  await mkdir(buildFolder, { recursive: true });
  await writeFile(stamp, mark);
  return true;
}
