/** `npm start`: sets up what is missing, then opens the studio: Electron where it can, else headless with an address. */
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { node24, projectEnvironment, root } from './lib/project.mjs';
import { electronBinary, ensureApp, ensureDependencies, ensureNative, explained, requireNode } from './lib/setup.mjs';

function hasDisplay() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
}

/** Runs until the child ends; a signal for us is a signal for it. */
function runInFront(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: projectEnvironment(), stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 0));
  });
}

process.exitCode = await explained(async () => {
  requireNode();
  await ensureDependencies();
  await Promise.all([ensureNative(), ensureApp()]);
  const args = process.argv.slice(2);
  const electron = await electronBinary();
  if (electron !== null && hasDisplay() && args.length === 0) return runInFront(electron, [root]);
  return runInFront(node24, [join(root, 'out/main/headless.js'), ...args]);
});
