/**
 * Packs the desktop app: first unpacked (`dist/*-unpacked`), then this system's installers.
 * Plain Node 20 without dependencies of its own.
 *
 * usage: node scripts/package.mjs [--dir]     --dir: unpacked only
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const defaultRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** What is missing under `root` and how to get it, in words; empty when packing can begin. */
export function missingParts(root, platform = process.platform, arch = process.arch) {
  const missing = [];
  const name = `${{ darwin: 'mac', win32: 'win' }[platform] ?? platform}-${arch}`;
  const modules = join(root, 'node_modules');
  if (!existsSync(join(modules, 'electron-builder'))) {
    missing.push('The development packages are not installed. Run: npm ci');
  }
  if (!existsSync(join(modules, 'electron', 'dist', 'version'))) {
    missing.push(
      'Electron’s binary is not there (node_modules/electron/dist). npm does not bring it: it is downloaded from ' +
        'GitHub’s releases. With access to them, run: npx install-electron --no\n' +
        '  Without: unzip that version’s archive for this system into node_modules/electron/dist by hand.',
    );
  }
  if (!existsSync(join(root, 'build', 'native', name, 'lutra.node'))) {
    missing.push(`The engine is not built for this machine (build/native/${name}). Run: npm run native`);
  }
  return missing;
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: defaultRoot, stdio: 'inherit', env: environment() });
    child.on('error', reject);
    child.on('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${args[0]} ended with ${signal ?? `code ${code}`}.`)),
    );
  });
}

/** Node 24 from node_modules comes first: the tools need it, and load the configuration as it is. */
function environment() {
  const separator = process.platform === 'win32' ? ';' : ':';
  return { ...process.env, PATH: `${dirname(node())}${separator}${process.env.PATH ?? ''}` };
}

function node() {
  const own = join(defaultRoot, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return existsSync(own) ? own : process.execPath;
}

async function main(args) {
  const missing = missingParts(defaultRoot);
  if (missing.length > 0) {
    console.error('The desktop app cannot be packed yet.\n');
    for (const line of missing) console.error(`- ${line}`);
    console.error('\nThe studio itself needs none of this: npm start opens it in your browser.');
    return 1;
  }
  const modules = join(defaultRoot, 'node_modules');
  const builder = join(modules, 'electron-builder', 'cli.js');
  const config = ['--config', 'electron-builder.config.ts', '--publish', 'never'];
  await run(node(), [join(modules, 'electron-vite', 'bin', 'electron-vite.js'), 'build']);
  const electron = `--config.electronDist=${join(modules, 'electron', 'dist')}`;
  await run(node(), [builder, '--dir', ...config, electron]);
  if (!args.includes('--dir')) await run(node(), [builder, ...config, electron]);
  console.log('\nDone: the app and its installers are in dist/.');
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (thrown) => {
      console.error(`The desktop app could not be packed: ${thrown.message}`);
      process.exitCode = 1;
    },
  );
}
