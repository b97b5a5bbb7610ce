import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'electron-vite';
import { resolve } from 'node:path';

const at = (path: string): string => resolve(import.meta.dirname, path);

export default defineConfig({
  main: {
    build: {
      outDir: 'out/main',
      externalizeDeps: true,
      rollupOptions: {
        input: {
          electron: at('main/app/electron/index.ts'),
          headless: at('main/app/headless.ts'),
          cli: at('main/app/cli/index.ts'),
          engine: at('main/engine/worker/index.ts'),
        },
        output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
      },
    },
  },
  preload: {
    build: {
      outDir: 'out/preload',
      externalizeDeps: false,
      rollupOptions: {
        input: { index: at('preload/index.ts') },
        // A sandboxed preload must be CommonJS.
        output: { format: 'cjs', entryFileNames: '[name].cjs' },
      },
    },
  },
  renderer: {
    root: at('renderer'),
    plugins: [react(), tailwindcss()],
    resolve: {
      alias: {
        // Its browser version parses with DOMParser, which reports KaTeX's style attributes to the page's policy.
        'hast-util-from-html-isomorphic': at('node_modules/hast-util-from-html-isomorphic/index.js'),
      },
    },
    build: {
      outDir: at('out/renderer'),
      minify: true,
      // The policy allows no fonts from data addresses.
      assetsInlineLimit: 0,
      emptyOutDir: true,
      rollupOptions: { input: at('renderer/index.html') },
    },
  },
});
