/** `npm test`: sets up what is missing, then runs everything, and counts. All steps run even when one fails. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildFolder, node24, projectEnvironment, root, run, runTool } from './lib/project.mjs';
import {
  electronBinary,
  ensureApp,
  ensureChromium,
  ensureDependencies,
  ensureNative,
  explained,
  requireNode,
} from './lib/setup.mjs';

const counts = { passed: 0, failed: 0 };
const failures = [];

/** A step that is one check. */
async function check(name, work) {
  const begunAt = performance.now();
  console.log(`\n── ${name}`);
  const code = await work();
  const seconds = ((performance.now() - begunAt) / 1000).toFixed(1);
  console.log(code === 0 ? `   fine (${seconds} s)` : `   FAILED (${seconds} s)`);
  return code;
}

async function one(name, work) {
  const code = await check(name, work);
  if (code === 0) counts.passed += 1;
  else {
    counts.failed += 1;
    failures.push(name);
  }
}

/** ctest's own count. */
async function native(name, args) {
  const lines = [];
  const code = await check(name, async () => {
    const result = await run(node24, [join(root, 'scripts/native.mjs'), 'test', ...args], {
      env: projectEnvironment(),
      lines,
    });
    process.stdout.write(lines.join(''));
    return result;
  });
  const [, failed = '0', total = '0'] = /(\d+) tests? failed out of (\d+)/.exec(lines.join('')) ?? [];
  counts.passed += Number(total) - Number(failed);
  counts.failed += Math.max(Number(failed), code === 0 ? 0 : 1);
  if (code !== 0) failures.push(name);
}

async function vitest(name, projects, env = {}) {
  const report = join(buildFolder, `vitest-${projects.join('-')}.json`);
  await rm(report, { force: true });
  const code = await check(name, () =>
    runTool(
      'vitest',
      [
        'run',
        ...projects.flatMap((project) => ['--project', project]),
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ],
      { env },
    ),
  );
  const result = JSON.parse(await readFile(report, 'utf8').catch(() => '{}'));
  const failed = result.numFailedTests ?? 0;
  counts.passed += result.numPassedTests ?? 0;
  counts.failed += Math.max(failed, code === 0 ? 0 : 1);
  if (code !== 0) failures.push(name);
}

process.exitCode = await explained(async () => {
  const begunAt = performance.now();
  requireNode();
  await ensureDependencies();
  const chromium = await ensureChromium();
  await ensureNative();
  await ensureApp();

  await one('Types', () => runTool('tsc', ['--noEmit', '-p', '.']));
  await one('Lint', () => runTool('oxlint', ['--type-aware']));
  await one('Import arrows', () => run(node24, [join(root, 'scripts/imports.mjs')]));
  await one('Format', () => runTool('oxfmt', ['--check']));
  await native('Native tests', []);
  await native('Native tests under address and undefined-behaviour sanitizers', ['--sanitize']);
  await vitest('Unit and interface tests', ['unit', 'renderer']);
  await vitest('Integration tests', ['integration']);
  await vitest('End to end, in Chromium', ['e2e'], { LUTRA_CHROMIUM: chromium });
  if ((await electronBinary()) === null) {
    console.log(
      '\n!! SKIPPED: the Electron suite. Electron’s binary is not here; fetch it with: npx electron --version',
    );
  }

  const minutes = ((performance.now() - begunAt) / 60_000).toFixed(1);
  if (failures.length > 0) console.log(`\nFailed: ${failures.join(', ')}`);
  console.log(`\nAll steps took ${minutes} minutes.\n${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 ? 0 : 1;
});
