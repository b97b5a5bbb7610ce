/** One step by name: `npm run lint`, `types`, `unit`, `e2e`, `native`, `format`. More arguments go to the tool. */
import { SetupError, runTool } from './lib/project.mjs';
import { ensureApp, ensureChromium, ensureDependencies, ensureNative, explained, requireNode } from './lib/setup.mjs';
import { run } from './lib/project.mjs';

const steps = {
  lint: async (args) =>
    (await runTool('oxlint', ['--type-aware', ...args])) ||
    (await run(process.execPath, ['scripts/imports.mjs'])) ||
    runTool('oxfmt', ['--check']),
  types: (args) => runTool('tsc', ['--noEmit', '-p', '.', ...args]),
  unit: (args) => runTool('vitest', ['run', '--project', 'unit', '--project', 'renderer', ...args]),
  e2e: async (args) => {
    await ensureNative();
    await ensureApp();
    await ensureChromium();
    return runTool('vitest', ['run', '--project', 'e2e', '--project', 'integration', ...args]);
  },
  native: (args) => run(process.execPath, ['scripts/native.mjs', ...(args.length === 0 ? ['test'] : args)]),
  format: (args) => runTool('oxfmt', args),
};

const [name = '', ...args] = process.argv.slice(2);
process.exitCode = await explained(async () => {
  requireNode();
  const step = Object.hasOwn(steps, name) ? steps[name] : undefined;
  if (step === undefined) throw new SetupError(`There is no step "${name}". Known: ${Object.keys(steps).join(', ')}`);
  await ensureDependencies();
  return step(args);
});
