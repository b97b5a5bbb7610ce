import { createRequire } from 'node:module';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import config, { foreignEnginePackages, fuses, platformName } from '../../../electron-builder.config.ts';
// @ts-expect-error -- a script of plain JavaScript
import { importsOf, wrongImports } from '../../../scripts/imports.mjs';
// @ts-expect-error -- a script of plain JavaScript
import { missingParts } from '../../../scripts/package.mjs';

test('every fuse that electron-builder knows is set, the dangerous ones to off', () => {
  const require = createRequire(createRequire(import.meta.url).resolve('electron-builder'));
  const folder = dirname(require.resolve('app-builder-lib/package.json'));
  const schema = JSON.parse(readFileSync(join(folder, 'scheme.json'), 'utf8')) as {
    definitions: { FuseOptionsV1: { properties: object } };
  };
  const known = Object.keys(schema.definitions.FuseOptionsV1.properties);
  expect(Object.keys(fuses).toSorted()).toEqual(
    known.filter((name) => name !== 'resetAdHocDarwinSignature').toSorted(),
  );
  expect(
    Object.entries(fuses)
      .filter(([, isOn]) => isOn)
      .map(([name]) => name)
      .toSorted(),
  ).toEqual(['enableCookieEncryption', 'enableEmbeddedAsarIntegrityValidation', 'onlyLoadAppFromAsar']);
  expect(config.electronFuses).toBe(fuses);
});

test('only this platform’s engine packages go inside', () => {
  const installed = [
    'linux-arm64',
    'linux-x64',
    'linux-x64-cuda',
    'linux-x64-cuda-ext',
    'linux-x64-vulkan',
    'mac-arm64-metal',
    'win-x64',
  ];
  const shipped = (platform: string): string[] => {
    const foreign = foreignEnginePackages(installed, platform);
    return installed.filter((name) => !foreign.includes(name));
  };
  expect(shipped('linux-x64')).toEqual(['linux-x64', 'linux-x64-cuda', 'linux-x64-vulkan']);
  expect(shipped(platformName('darwin', 'arm64'))).toEqual(['mac-arm64-metal']);
  expect(shipped(platformName('win32', 'x64'))).toEqual(['win-x64']);
});

test('native files lie outside the asar', () => {
  expect(config.asar).toBe(true);
  expect(config.asarUnpack).toEqual(
    expect.arrayContaining(['**/*.node', 'build/native/**', 'node_modules/@node-llama-cpp/**']),
  );
});

test('packing says what is missing and how to get it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lutra pack '));
  try {
    expect(missingParts(root, 'linux', 'x64').join('\n')).toMatch(/npm ci[\s\S]*install-electron[\s\S]*npm run native/);
    for (const folder of ['node_modules/electron-builder', 'node_modules/electron/dist', 'build/native/mac-arm64']) {
      await mkdir(join(root, folder), { recursive: true });
    }
    await writeFile(join(root, 'node_modules/electron/dist/version'), '45');
    await writeFile(join(root, 'build/native/mac-arm64/lutra.node'), '');
    expect(missingParts(root, 'darwin', 'arm64')).toEqual([]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test.each([
  ['renderer/chat/x.tsx', "import { openStore } from '../../main/store/store.ts';"],
  ['renderer/chat/x.tsx', "const { app } = await import('electron');"],
  ['contract/x.ts', "export * from '../main/host.ts';"],
  ['preload/index.ts', "import '../main/studio.ts';"],
  ['main/chat/x.ts', "import type { Model } from '../models/service.ts';"],
  ['main/chat/x.ts', "import {\n  createStudio,\n} from '../studio.ts';"],
  ['main/engine/x.ts', "import { app } from 'electron';"],
  ['main/app/http/x.ts', "import { app } from 'electron/main';"],
  ['main/store/x.ts', "const x = require('../jobs/service.ts');"],
])('an import against the arrows is found: %s, %s', (path, text) => {
  expect(wrongImports(path, text)).toHaveLength(1);
});

test.each([
  ['renderer/chat/x.tsx', "import { chat } from '../../contract/chat.ts'; import { cx } from '../ui/cx.ts';"],
  ['main/app/electron/index.ts', "import { app } from 'electron';"],
  ['preload/index.ts', "import { contextBridge } from 'electron';"],
  ['main/models/x.ts', "import type { JobRunner } from '../jobs/runner.ts';"],
  ['main/chat/x.ts', "// import { app } from 'electron';\nimport { x } from './rows.ts';"],
])('an import along the arrows is fine: %s, %s', (path, text) => {
  expect(wrongImports(path, text)).toEqual([]);
  expect(importsOf(path, text).length).toBeGreaterThan(0);
});
