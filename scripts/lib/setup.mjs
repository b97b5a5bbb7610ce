/** Sets up what is missing and nothing else: dependencies, the native engine, the built app, a Chromium for the tests. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError, findOnPath, fingerprint, modulesFolder, node24, once, root, run, runTool } from './project.mjs';

const oldestNode = 20;

export function requireNode() {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major >= oldestNode) return;
  throw new SetupError(
    `Lutra needs Node ${oldestNode} or newer to start; this is ${process.version}. Get it from nodejs.org.`,
  );
}

/** Installs exactly what the lockfile says, when it changed or something is gone. */
export async function ensureDependencies() {
  const mark = await fingerprint(['package.json', 'package-lock.json', '.npmrc'], [process.platform, process.arch]);
  const isThere = existsSync(node24) && existsSync(join(modulesFolder, 'node-llama-cpp'));
  await once('dependencies', isThere ? mark : `${mark} again`, async () => {
    console.log('Installing dependencies (a minute the first time)');
    const npm = findOnPath('npm');
    if (npm === null) throw new SetupError('npm is missing. It comes with Node: nodejs.org');
    // `npm ci` insists that the lockfile lists every other platform's packages, which a registry may lack.
    const lines = [];
    const code = await run(npm, ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
      env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' },
      lines,
    });
    if (code !== 0) {
      throw new SetupError(
        `npm could not install the dependencies:\n${lines.join('').slice(-3000)}\nCheck the network and try again.`,
      );
    }
    if (!existsSync(node24)) {
      throw new SetupError(
        'Node 24 did not arrive with the npm package "node". If npm was told to ignore scripts, allow them for this folder: npm rebuild node',
      );
    }
  });
  // The mark above says "again" only to force the work; what is there now is what the mark says.
  if (!isThere) await once('dependencies', mark, async () => {});
}

export async function ensureNative() {
  const { NativeBuildError, buildNative } = await import('../native.mjs');
  try {
    await buildNative();
  } catch (error) {
    if (!(error instanceof NativeBuildError)) throw error;
    if (process.platform !== 'win32') throw new SetupError(error.message, { cause: error });
    // Chat with GGUF needs only what node-llama-cpp ships.
    console.log(error.message);
  }
}

const appSources = [
  'contract',
  'main',
  'preload',
  'renderer',
  'electron.vite.config.ts',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
];

/** Builds main, preload and the page into `out/` when their sources changed. */
export async function ensureApp() {
  const mark = await fingerprint(appSources);
  const isThere = existsSync(join(root, 'out/main/headless.js')) && existsSync(join(root, 'out/renderer/index.html'));
  await once('app', isThere ? mark : `${mark} again`, async () => {
    console.log('Building the studio');
    const lines = [];
    const code = await runTool('electron-vite', ['build'], { lines });
    if (code !== 0) throw new SetupError(`The studio could not be built:\n${lines.join('').slice(-4000)}`);
  });
  if (!isThere) await once('app', mark, async () => {});
}

export const chromiumPlaces = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

async function isDebian() {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID(_LIKE)?=.*debian/m.test(release) && findOnPath('apt-get') !== null;
}

/** For the end-to-end tests. As root on Debian it is installed; elsewhere the message says how. Returns its path. */
export async function ensureChromium() {
  const given = process.env.LUTRA_CHROMIUM;
  const found = given ?? findOnPath(...chromiumPlaces);
  const mayInstall = (await isDebian()) && process.getuid?.() === 0;
  // The Vulkan driver in software lets the GPU code of the engine be tested too; Chinese needs a font; the command line
  // decodes clips with ffmpeg.
  const extras = [
    ['/usr/share/vulkan/icd.d/lvp_icd.x86_64.json', 'mesa-vulkan-drivers'],
    ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', 'libvulkan1'],
    ['/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc', 'fonts-noto-cjk'],
    ['/usr/bin/ffmpeg', 'ffmpeg'],
  ];
  const missing = [
    ...(found === null ? ['chromium'] : []),
    ...extras.filter(([path]) => !existsSync(path)).map(([, name]) => name),
  ];
  if (mayInstall && missing.length > 0) {
    console.log(`Installing ${missing.join(', ')} for the tests`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const lines = [];
    await run('apt-get', ['update', '-qq'], { env, lines });
    const code = await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { env, lines });
    if (code !== 0) console.log(`apt-get did not succeed:\n${lines.join('').slice(-2000)}`);
  }
  const path = given ?? findOnPath(...chromiumPlaces);
  if (path !== null) return path;
  throw new SetupError(
    'The end-to-end tests need Chromium. On Debian or Ubuntu: sudo apt-get install chromium. Elsewhere install Chrome or Chromium and set LUTRA_CHROMIUM to its path.',
  );
}

/** Electron's binary, where it was fetched, else null. */
export async function electronBinary() {
  const folder = join(modulesFolder, 'electron');
  const name = await readFile(join(folder, 'path.txt'), 'utf8').catch(() => null);
  const path = name === null ? null : join(folder, 'dist', name.trim());
  return path !== null && existsSync(path) ? path : null;
}

/** Runs `work`, and tells a `SetupError` in plain words. Returns the exit code. */
export async function explained(work) {
  try {
    return (await work()) ?? 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}\n`);
    return 1;
  }
}
