/** How the desktop app is packed. Each platform is packed on its own machine: the engine is built there. */
import type { Configuration } from 'electron-builder';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Every fuse, so that a forgotten one does not compile. The signature is electron-builder's own business. */
export const fuses: Required<Omit<NonNullable<Configuration['electronFuses']>, 'resetAdHocDarwinSignature'>> = {
  runAsNode: false,
  enableCookieEncryption: true,
  enableNodeOptionsEnvironmentVariable: false,
  enableNodeCliInspectArguments: false,
  enableEmbeddedAsarIntegrityValidation: true,
  onlyLoadAppFromAsar: true,
  loadBrowserProcessSpecificV8Snapshot: false,
  grantFileProtocolExtraPrivileges: false,
};

const osNames: Readonly<Record<string, string>> = { darwin: 'mac', win32: 'win' };

/** As node-llama-cpp names platforms, e.g. `linux-x64`; our own engine lies in a folder of that name. */
export function platformName(platform: NodeJS.Platform, arch: string): string {
  return `${osNames[platform] ?? platform}-${arch}`;
}

/** Packages of node-llama-cpp for other machines, and the empty ones that stand for what we do not ship. */
export function foreignEnginePackages(installed: readonly string[], platform: string): string[] {
  return installed.filter((name) => (name !== platform && !name.startsWith(`${platform}-`)) || name.endsWith('-ext'));
}

const platform = platformName(process.platform, process.arch);
const engineFolder = join(import.meta.dirname, 'node_modules/@node-llama-cpp');
const installed = existsSync(engineFolder) ? readdirSync(engineFolder) : [];

const config: Configuration = {
  appId: 'studio.lutra.app',
  productName: 'Lutra',
  directories: { output: 'dist', buildResources: 'packaging' },
  asar: true,
  // `.node` and shared libraries are opened by the system, which cannot look into an asar.
  asarUnpack: [
    '**/*.node',
    'build/native/**',
    'node_modules/better-sqlite3/**',
    'node_modules/node-llama-cpp/**',
    'node_modules/@node-llama-cpp/**',
    'node_modules/sharp/**',
    'node_modules/@img/**',
  ],
  files: [
    'out/**',
    'package.json',
    `build/native/${platform}/**`,
    '!build/native/**/*.stamp',
    '!**/*.{map,md,ts,mts,cts}',
    '!node_modules/better-sqlite3/{deps,src}/**',
    '!node_modules/node-llama-cpp/llama/gitRelease.bundle',
    ...foreignEnginePackages(installed, platform).map((name) => `!node_modules/@node-llama-cpp/${name}/**`),
  ],
  // The engine opens the demo models as plain files.
  extraResources: [{ from: 'models', to: 'models' }],
  // better-sqlite3 and our addon speak Node-API: the same files load in Node and in Electron.
  npmRebuild: false,
  nodeGypRebuild: false,
  electronFuses: fuses,
  publish: null,
  linux: {
    target: ['AppImage', 'deb'],
    category: 'Utility',
    synopsis: 'Runs generative models on your own machine',
    executableName: 'lutra',
    maintainer: 'The Lutra makers',
  },
  mac: { target: ['dmg', 'zip'], category: 'public.app-category.productivity', hardenedRuntime: true },
  win: { target: ['nsis'] },
  nsis: { oneClick: false, perMachine: false, allowToChangeInstallationDirectory: true },
};

export default config;
