/** Vite's development server for the page alone, with the renderer's part of electron.vite.config.ts. */
import { createServer } from 'vite';
import { loadConfigFromFile } from 'electron-vite';
import { join } from 'node:path';
import { root } from './project.mjs';

const { config } = await loadConfigFromFile(
  { command: 'serve', mode: 'development' },
  join(root, 'electron.vite.config.ts'),
);
const port = Number(process.argv[2]);
const server = await createServer({
  ...config.renderer,
  configFile: false,
  // The host forwards requests, but the reload channel goes straight to this server.
  server: { host: '127.0.0.1', port, strictPort: true, hmr: { host: '127.0.0.1', port, clientPort: port } },
});
await server.listen();
