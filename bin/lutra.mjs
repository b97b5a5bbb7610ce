#!/usr/bin/env node
/** The `lutra` command: runs the built program on Node 24, whatever Node this is. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const node = at(`../node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`);
const entry = at('../out/main/cli.js');
if (!existsSync(node) || !existsSync(entry)) {
  process.stderr.write('lutra: not built yet. Run: npm run build\n');
  process.exit(1);
}
const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.once('close', (code) => process.exit(code ?? 1));
