import { describe, expect, test } from 'vitest';
import { describeCrash } from '../../../main/engine/crash.ts';
import { Turns } from '../../../main/engine/turns.ts';

describe('turns', () => {
  test('go by priority, then by arrival, and one that leaves is not waited for', async () => {
    const turns = new Turns();
    const order: string[] = [];
    const giveBack = await turns.take(0);
    const abort = new AbortController();
    const take = async (name: string, priority: number, signal?: AbortSignal): Promise<void> => {
      const release = await turns.take(priority, signal);
      order.push(name);
      release();
    };
    const all = [take('late', 20), take('a', 0), take('left', 0, abort.signal), take('b', 0)];
    abort.abort();
    await expect(all[2]).rejects.toMatchObject({ code: 'cancelled' });
    expect(turns.waiting).toBe(3);
    giveBack();
    giveBack();
    await Promise.all([all[0], all[1], all[3]]);
    expect(order).toEqual(['a', 'b', 'late']);
    expect(turns.isTaken).toBe(false);
  });
});

describe('a dead engine', () => {
  test.each([
    [{ code: null, signal: 'SIGKILL', log: '' }, 'engine-crashed', /killed from outside/],
    [{ code: null, signal: 'SIGSEGV', log: '' }, 'engine-crashed', /SIGSEGV/],
    [{ code: null, signal: 'SIGABRT', log: 'x\nGGML_ASSERT(a == b) failed\n' }, 'engine-crashed', /GGML_ASSERT/],
    [{ code: 1, signal: null, log: 'std::bad_alloc' }, 'out-of-memory', /ran out of memory/],
    [{ code: 3, signal: null, log: 'a\nlast words\n' }, 'engine-crashed', /last words/],
  ] as const)('%j is explained', (exit, code, message) => {
    const error = describeCrash(exit, 'answered with "tiny"');
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('while it answered with "tiny"');
    expect(error.hint).not.toBe('');
  });
});
