/**
 * Builds the C++ engine: the Node-API addon, and ggml's CPU module from the sources inside node-llama-cpp.
 * Plain Node 20 without dependencies, so that it can run before anything else does.
 *
 * usage: node scripts/native.mjs build [--levels haswell,zen4]
 *        node scripts/native.mjs cuda
 *        node scripts/native.mjs test [--sanitize]
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nativeFolder = join(root, 'native');
const modulesFolder = join(root, 'node_modules');
const buildFolder = join(root, 'build');
const platform = `${process.platform === 'win32' ? 'win' : process.platform === 'darwin' ? 'mac' : process.platform}-${process.arch === 'arm' ? 'armv7l' : process.arch}`;

/** Where `lutra.node` and our CPU module are. */
export const addonFolder = join(buildFolder, 'native', platform);

/** Something that the person at the keyboard can mend. Its message says how. */
export class NativeBuildError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'NativeBuildError';
  }
}

const toolAdvice = {
  linux: 'On Debian or Ubuntu: sudo apt install g++ cmake git ninja-build',
  darwin: 'On macOS: xcode-select --install, then brew install cmake ninja',
  win32: 'On Windows: winget install Kitware.CMake Git.Git and the Build Tools for Visual Studio with C++',
};

const adviceHere = () => toolAdvice[process.platform] ?? 'Install a C++20 compiler, cmake and git.';

/** The first of `names` on the PATH, or null. */
function findTool(...names) {
  const endings = process.platform === 'win32' ? ['.exe', '.cmd'] : [''];
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

function findTools() {
  const tools = {
    compiler: process.env.CXX ?? findTool('c++', 'g++', 'clang++', 'cl'),
    cmake: findTool('cmake'),
    git: findTool('git'),
    ninja: findTool('ninja'),
  };
  const missing = [
    tools.compiler === null ? 'a C++ compiler (g++ 12, clang 15 or newer)' : null,
    tools.cmake === null ? 'cmake (3.20 or newer)' : null,
    tools.git === null ? 'git' : null,
  ].filter((name) => name !== null);
  if (missing.length > 0) {
    throw new NativeBuildError(`To build the engine, this machine lacks ${missing.join(', ')}. ${adviceHere()}`);
  }
  return tools;
}

async function readJson(path) {
  return JSON.parse(await readFile(path, 'utf8'));
}

async function llamaPackage() {
  const folder = join(modulesFolder, 'node-llama-cpp');
  const bundle = join(folder, 'llama', 'gitRelease.bundle');
  if (!existsSync(bundle)) {
    throw new NativeBuildError('The package node-llama-cpp is not installed. Run npm ci in this folder first.');
  }
  return { version: (await readJson(join(folder, 'package.json'))).version, bundle };
}

/** Every file below `folder`, sorted, as paths relative to it. */
async function filesBelow(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** One hash over all that the result depends on. */
async function fingerprint(tools, version) {
  const hash = createHash('sha256');
  const files = await filesBelow(nativeFolder);
  const contents = await Promise.all(files.map((file) => readFile(join(nativeFolder, file))));
  files.forEach((file, i) => hash.update(`${file}\0${contents[i].length}\0`).update(contents[i]));
  hash.update(await readFile(fileURLToPath(import.meta.url)));
  for (const name of ['node-addon-api', 'node-api-headers']) {
    hash.update(`${name} ${(await readJson(join(modulesFolder, name, 'package.json'))).version}\0`);
  }
  hash.update(`${(await readJson(join(root, 'package.json'))).version} ${version} ${platform}\0`);
  // cl prints its version on every call and fails without a file.
  const { stdout, stderr } = await run(tools.compiler, ['--version']).catch((error) => error);
  return hash.update(`${tools.compiler} ${stdout}${stderr}`).digest('hex');
}

/** Runs a program, lets `log` have each line of its output, and fails with its last lines. */
async function runLogged(command, args, { log, ...options }) {
  const lines = [];
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      const pieces = (rest + text).split(/\r?\n/);
      rest = pieces.pop() ?? '';
      for (const line of pieces) {
        lines.push(line);
        log(line);
      }
    });
    stream.on('end', () => {
      if (rest !== '') lines.push(rest);
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  if (code !== 0) {
    throw new NativeBuildError(`${command} ended with ${code}:\n${lines.slice(-40).join('\n')}`);
  }
}

/** Unpacks llama.cpp's sources once per version. Whole or not at all: it appears by a rename. */
async function unpackLlama(tools, { version, bundle }, log) {
  const folder = join(buildFolder, `llama.cpp-src-${version}`);
  if (existsSync(join(folder, 'ggml', 'include', 'ggml.h'))) return folder;
  log(`Unpacking llama.cpp's sources from node-llama-cpp ${version}`);
  await mkdir(buildFolder, { recursive: true });
  const temporary = await mkdtemp(join(buildFolder, 'unpacking-'));
  try {
    await run(tools.git, ['-c', 'advice.detachedHead=false', 'clone', '--quiet', bundle, temporary]);
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  } catch (error) {
    throw new NativeBuildError(`llama.cpp's sources could not be unpacked: ${error.stderr ?? error.message}`, {
      cause: error,
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

/** The folder of the prebuilt libraries in a platform package; null where that package is not installed. */
async function shippedLibraries(variant = '') {
  const name = platform === 'mac-arm64' ? 'mac-arm64-metal' : platform + variant;
  const entry = join(modulesFolder, '@node-llama-cpp', name, 'dist', 'index.js');
  if (!existsSync(entry)) return null;
  const { getBinsDir } = await import(pathToFileURL(entry).href);
  return join(getBinsDir().binsDir, name);
}

/** ggml's name of the best CPU level here, told by the shipped modules themselves; null where none can tell. */
async function findCpuLevel(tools) {
  const folder = await shippedLibraries();
  if (folder === null || process.platform === 'win32') return null;
  const modules = (await readdir(folder))
    .filter((name) => name.includes('ggml-cpu-'))
    .map((name) => join(folder, name));
  if (modules.length === 0) return null;
  const temporary = await mkdtemp(join(buildFolder, 'probing-'));
  try {
    const program = join(temporary, 'cpu_level');
    await run(tools.compiler, ['-std=c++20', '-o', program, join(nativeFolder, 'tools', 'cpu_level.cpp'), '-ldl']);
    return (await run(program, modules)).stdout.trim();
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function configure(tools, llama, { sanitize, levels, log }) {
  const folder = join(buildFolder, 'native', sanitize ? 'cmake-sanitize' : 'cmake');
  const definitions = {
    CMAKE_BUILD_TYPE: 'Release',
    LUTRA_LLAMA_SOURCE: await unpackLlama(tools, llama, log),
    LUTRA_MODULES: modulesFolder,
    LUTRA_NODE: process.execPath,
    LUTRA_OUTPUT: addonFolder,
    LUTRA_VERSION: (await readJson(join(root, 'package.json'))).version,
    LUTRA_SHIPPED: (await shippedLibraries()) ?? '',
    LUTRA_SHIPPED_VULKAN: (await shippedLibraries('-vulkan')) ?? '',
    LUTRA_CPU_LEVELS: levels.join(';'),
    LUTRA_SANITIZE: sanitize ? 'ON' : 'OFF',
  };
  const generator = tools.ninja === null ? [] : ['-G', 'Ninja'];
  const args = ['-S', nativeFolder, '-B', folder, ...generator];
  for (const [name, value] of Object.entries(definitions)) args.push(`-D${name}=${value}`);
  // A build folder of another generator or compiler cannot be reused.
  if (existsSync(join(folder, 'CMakeCache.txt'))) {
    const cache = await readFile(join(folder, 'CMakeCache.txt'), 'utf8');
    const isNinja = cache.includes('CMAKE_GENERATOR:INTERNAL=Ninja');
    if (isNinja !== (tools.ninja !== null)) await rm(folder, { recursive: true, force: true });
  }
  await runLogged(tools.cmake, args, { log: () => {} });
  return folder;
}

async function compile(tools, folder, targets, log) {
  const jobs = String(availableParallelism());
  const args = ['--build', folder, '--parallel', jobs, '--target', ...targets];
  const isPolite = process.platform !== 'win32' && findTool('nice') !== null;
  const [command, commandArgs] = isPolite ? ['nice', [tools.cmake, ...args]] : [tools.cmake, args];
  await runLogged(command, commandArgs, { log });
}

/**
 * Builds what changed since the last time; costs a few milliseconds when nothing did.
 * `levels` are ggml's names of the CPU levels to build its module for; without them, the best for this machine.
 * `sanitize` builds the tests of our own code with address and undefined sanitizers instead.
 * Throws `NativeBuildError` with a message for people.
 */
export async function buildNative({ sanitize = false, levels = null, log = console.log } = {}) {
  if (process.platform === 'win32') {
    throw new NativeBuildError('The engine cannot be built on Windows yet. Build it under WSL.');
  }
  const tools = findTools();
  const llama = await llamaPackage();
  const stamp = join(buildFolder, 'native', sanitize ? 'sanitize.stamp' : `${platform}.stamp`);
  const wanted = `${await fingerprint(tools, llama.version)} ${levels ?? 'best'}`;
  const isFresh = async () =>
    (sanitize || existsSync(join(addonFolder, 'lutra.node'))) &&
    (await readFile(stamp, 'utf8').catch(() => '')) === wanted;
  if (await isFresh()) return { addonFolder, built: false };
  return alone(async () => {
    // Another process may have built it while this one waited.
    if (await isFresh()) return { addonFolder, built: false };
    await rm(stamp, { force: true });
    await buildNow(tools, llama, { sanitize, levels, log });
    await writeFile(stamp, wanted);
    return { addonFolder, built: true };
  }, log);
}

async function buildNow(tools, llama, { sanitize, levels, log }) {
  const start = performance.now();
  await mkdir(addonFolder, { recursive: true });
  log(`Building the engine${sanitize ? "'s tests with sanitizers" : ''} (about a minute the first time)`);
  const chosen = sanitize ? [] : (levels ?? [await findCpuLevel(tools)].filter((level) => level !== null));
  const folder = await configure(tools, llama, { sanitize, levels: chosen, log });
  if (!sanitize) await removeOtherLevels(chosen);
  const targets = sanitize ? ['all'] : ['lutra', ...(chosen.length === 0 ? [] : ['lutra-cpu-modules'])];
  await compile(tools, folder, targets, tenths(log));
  log(`Built in ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/** Runs `body` while no other process builds here. */
async function alone(body, log) {
  const lock = join(buildFolder, 'native', 'build.lock');
  await mkdir(dirname(lock), { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(lock, 'utf8').catch(() => 'NaN'));
    // An empty file is a lock that is just being taken.
    if (owner > 0 && !isAlive(owner)) await rm(lock, { force: true });
    else if (!waited) log('Another process builds the engine; waiting for it');
    await delay(100);
  }
  try {
    return await body();
  } finally {
    await rm(lock, { force: true });
  }
}

/** Lets every tenth part of a build's progress through, as Ninja's `[12/34]` and Make's `[ 35%]` tell it. */
function tenths(log) {
  let shown = 0;
  return (line) => {
    const [, done, all] = line.match(/^\[\s*(\d+)(?:\/(\d+)|%)\]/) ?? [];
    const tenth = Math.floor((10 * Number(done)) / Number(all ?? 100));
    if (tenth > shown) {
      shown = tenth;
      log(`  ${tenth * 10} %`);
    }
  };
}

async function removeOtherLevels(levels) {
  for (const name of await readdir(addonFolder)) {
    const level = name.match(/ggml-cpu-(.+)\.\w+$/)?.[1];
    if (level !== undefined && !levels.includes(level)) await rm(join(addonFolder, name));
  }
}

/**
 * Builds our own kernels for NVIDIA, for the card of this machine, beside `lutra.node`; without a card, for all that we
 * run on from one code that the driver translates. Takes minutes.
 */
export async function buildCuda({ log = console.log } = {}) {
  if (findTool('nvcc') === null && !existsSync('/usr/local/cuda/bin/nvcc')) {
    throw new NativeBuildError(
      "To build the kernels for NVIDIA, this machine lacks nvcc. Install CUDA's toolkit, 12.4 or newer.",
    );
  }
  await buildTarget('lutra-cuda', log);
}

/** Builds one target beside the ordinary ones; returns the folder of the build. */
export async function buildTarget(target, log = console.log) {
  await buildNative({ log });
  const folder = join(buildFolder, 'native', 'cmake');
  await alone(() => compile(findTools(), folder, [target], tenths(log)), log);
  return folder;
}

/** Builds and runs the native tests. Throws `NativeBuildError` when one fails. */
export async function testNative({ sanitize = false, log = console.log } = {}) {
  // The sanitized tests run on the CPU module of the ordinary build.
  await buildNative({ log });
  if (sanitize) await buildNative({ sanitize, log });
  const folder = join(buildFolder, 'native', sanitize ? 'cmake-sanitize' : 'cmake');
  await alone(() => compile(findTools(), folder, ['all'], () => {}), log);
  const ctest = findTool('ctest');
  if (ctest === null) throw new NativeBuildError(`ctest is missing; it comes with cmake. ${adviceHere()}`);
  const args = [
    '--test-dir',
    folder,
    '--output-on-failure',
    '--no-tests=error',
    '--parallel',
    String(availableParallelism()),
  ];
  try {
    await runLogged(ctest, args, { log });
  } catch (error) {
    throw new NativeBuildError('Native tests failed; see above.', { cause: error });
  } finally {
    for (const reason of await skipReasons(folder)) log(`!! ${reason}`);
  }
}

/** What ctest keeps to itself: why a test was skipped. */
async function skipReasons(folder) {
  const text = await readFile(join(folder, 'Testing', 'Temporary', 'LastTest.log'), 'utf8').catch(() => '');
  return text.split(/\r?\n/).filter((line) => line.startsWith('SKIPPED'));
}

const usage = `usage: node scripts/native.mjs build [--levels haswell,zen4]
       node scripts/native.mjs cuda
       node scripts/native.mjs test [--sanitize]`;

/** What the command line asks for; null when it makes no sense. */
function parseArguments(args) {
  const options = { sanitize: { type: 'boolean', default: false }, levels: { type: 'string' } };
  try {
    const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
    const [command, ...rest] = positionals;
    const isKnown =
      command === 'build'
        ? !values.sanitize
        : (command === 'test' && values.levels === undefined) ||
          (command === 'cuda' && !values.sanitize && values.levels === undefined);
    return isKnown && rest.length === 0 ? { command, ...values, levels: values.levels?.split(',') ?? null } : null;
  } catch {
    return null;
  }
}

async function main(args) {
  const wish = parseArguments(args);
  if (wish === null) {
    console.error(usage);
    return 2;
  }
  try {
    if (wish.command === 'test') {
      await testNative({ sanitize: wish.sanitize });
    } else if (wish.command === 'cuda') {
      await buildCuda();
    } else {
      const { built } = await buildNative({ levels: wish.levels });
      console.log(`${built ? 'Ready' : 'Up to date'}: ${relative(root, addonFolder)}`);
    }
    return 0;
  } catch (error) {
    console.error(error instanceof NativeBuildError ? error.message : error);
    return 1;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
