/**
 * `npm run dev`: hot reload. With Electron's binary `electron-vite dev` does it all; without, the page comes from a
 * development server behind the headless host, and main is built again when it is started again.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { modulesFolder, node24, projectEnvironment, root, runTool } from './lib/project.mjs';
import { electronBinary, ensureApp, ensureDependencies, ensureNative, explained, requireNode } from './lib/setup.mjs';

const pagePort = 5199;

process.exitCode = await explained(async () => {
  requireNode();
  await ensureDependencies();
  await ensureNative();
  if ((await electronBinary()) !== null) return runTool('electron-vite', ['dev', '--watch']);
  await ensureApp();
  const pageUrl = `http://127.0.0.1:${pagePort}`;
  const script = join(root, 'scripts', 'lib', 'page-server.mjs');
  const page = spawn(node24, [script, String(pagePort)], { cwd: root, env: projectEnvironment(), stdio: 'inherit' });
  const env = projectEnvironment({ LUTRA_RENDERER_URL: pageUrl, NODE_PATH: modulesFolder });
  const host = spawn(node24, [join(root, 'out/main/headless.js'), ...process.argv.slice(2)], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      host.kill(signal);
      page.kill(signal);
    });
  }
  const code = await new Promise((resolve) => host.once('close', resolve));
  page.kill();
  return code ?? 0;
});
