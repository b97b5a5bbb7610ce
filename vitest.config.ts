import { defineConfig } from 'vitest/config';

const longMs = 120_000;

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'renderer',
          include: ['tests/renderer/**/*.test.{ts,tsx}'],
          environment: 'happy-dom',
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: longMs,
          maxWorkers: 2,
        },
      },
      {
        // One browser at a time: two cores serve the host, the engine and the page.
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts', 'tests/electron/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: longMs,
          fileParallelism: false,
        },
      },
    ],
  },
});
