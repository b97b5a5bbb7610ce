import { expect, test } from 'vitest';
import { threadsFor } from '../../../main/engine/worker/threads.ts';

test('a tiny model runs on one thread, others on all, and a chosen number counts', () => {
  expect(threadsFor(null, 11e6)).toBe(1);
  expect(threadsFor(null, 2e9)).toBe(0);
  expect(threadsFor(6, 11e6)).toBe(6);
});
