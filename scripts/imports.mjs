/**
 * Checks that imports follow the arrows of ARCHITECTURE.md. Plain Node 20 without dependencies.
 *
 * usage: node scripts/imports.mjs
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const capabilities = ['audio', 'caption', 'chat', 'files', 'jobs', 'library', 'models', 'settings'];
const otherCapabilities = (own) => capabilities.filter((name) => name !== own).map((name) => `main/${name}/`);
const everythingOfOurs = ['contract/', 'main/', 'preload/', 'renderer/', 'native/', 'scripts/', 'tests/', 'bench/'];
const allBut = (...allowed) => everythingOfOurs.filter((folder) => !allowed.includes(folder));

/**
 * The first rule whose `from` begins the file's path holds for it. `never` lists what it may not import: folders
 * of ours (ending in a slash), or packages. A type counts like a value: knowing a shape is knowing.
 */
const rules = [
  { from: 'contract/', never: [...allBut('contract/'), 'electron'], why: 'contract/ knows nothing of ours' },
  { from: 'preload/', never: allBut('preload/', 'contract/'), why: 'preload/ knows contract/ only' },
  {
    from: 'renderer/',
    never: [...allBut('renderer/', 'contract/'), 'electron'],
    why: 'renderer/ knows contract/ only',
  },
  { from: 'main/app/electron/', never: allBut('main/', 'contract/'), why: 'main/ knows contract/ only' },
  ...capabilities.map((name) => ({
    from: `main/${name}/`,
    never: [...otherCapabilities(name), 'main/app/', 'main/studio.ts', 'electron', ...allBut('main/', 'contract/')],
    why: 'a capability knows no other one, nor who composes them',
  })),
  ...['engine', 'store'].map((name) => ({
    from: `main/${name}/`,
    never: [...otherCapabilities(name), 'main/app/', 'main/studio.ts', 'electron', ...allBut('main/', 'contract/')],
    why: 'what the capabilities build on knows none of them',
  })),
  {
    from: 'main/',
    never: [...allBut('main/', 'contract/'), 'electron'],
    why: 'only main/app/electron/ knows Electron',
  },
];

/**
 * Interfaces that a capability hands to others: ARCHITECTURE.md's "small interfaces they are given". They may be
 * imported as types, and hold no code of their capability.
 */
const givenInterfaces = new Set(['main/jobs/runner.ts', 'main/jobs/pace.ts']);

const importPattern =
  /(?:^|[;\s])(?:import|export)\s+(?:[\w*{}\s,$]+?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|\brequire\(\s*['"]([^'"]+)['"]/g;

/** What a source text imports: packages by name, files of ours by their path from the repository's root. */
export function importsOf(path, text) {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...code.matchAll(importPattern)].map((match) => {
    const name = match[1] ?? match[2] ?? match[3];
    return name.startsWith('.') ? posix.normalize(posix.join(posix.dirname(path), name)) : name;
  });
}

/** One line for each import against the arrows. */
export function wrongImports(path, text) {
  const rule = rules.find(({ from }) => path.startsWith(from));
  if (rule === undefined) return [];
  return importsOf(path, text)
    .filter((imported) => !givenInterfaces.has(imported))
    .filter((imported) =>
      rule.never.some((never) => imported === never || imported.startsWith(never.endsWith('/') ? never : `${never}/`)),
    )
    .map((imported) => `${path} imports ${imported}: ${rule.why}.`);
}

function* sourceFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.[cm]?[jt]sx?$/.test(entry.name)) yield path;
  }
}

function main() {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const wrong = ['contract', 'main', 'preload', 'renderer']
    .flatMap((folder) => [...sourceFiles(join(root, folder))])
    .flatMap((path) => wrongImports(relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8')));
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
