import { EventEmitter } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';

const exposed = vi.hoisted(() => new Map<string, Record<string, unknown>>());
const ipc = vi.hoisted(() => ({
  listeners: new Map<string, (...args: unknown[]) => void>(),
  invoked: [] as unknown[][],
  sent: [] as unknown[][],
}));

vi.mock('electron', () => ({
  contextBridge: { exposeInMainWorld: (name: string, value: Record<string, unknown>) => exposed.set(name, value) },
  ipcRenderer: {
    invoke: (...args: unknown[]) => {
      ipc.invoked.push(args);
      return Promise.resolve('grant-1');
    },
    send: (...args: unknown[]) => void ipc.sent.push(args),
    on: (name: string, listener: (...args: unknown[]) => void) => ipc.listeners.set(name, listener),
  },
  webUtils: { getPathForFile: (file: { path: string }) => file.path },
}));

class FakePage extends EventEmitter {
  location = { hash: '' };
  readonly posted: unknown[][] = [];
  addEventListener = (type: string, listener: (event: object) => void): void => void this.on(type, listener);
  postMessage = (...args: unknown[]): void => void this.posted.push(args);
}

afterEach(() => vi.unstubAllGlobals());

test('the page gets two doors, and a port only when it asks', async () => {
  const page = new FakePage();
  vi.stubGlobal('window', page);
  await import('../../../preload/index.ts');

  expect([...exposed.keys()]).toEqual(['lutra']);
  const bridge = exposed.get('lutra') as { host: string; grantFor: (file: object) => Promise<unknown> };
  expect(Object.keys(bridge).sort()).toEqual(['grantFor', 'host']);
  expect(bridge.host).toBe('electron');
  expect(await bridge.grantFor({ path: '/a/ü.gguf' })).toBe('grant-1');
  expect(ipc.invoked).toEqual([['lutra:grant', '/a/ü.gguf']]);

  page.emit('message', { source: {}, data: 'lutra:ready' });
  page.emit('message', { source: page, data: 'something else' });
  expect(ipc.sent).toEqual([]);
  page.emit('message', { source: page, data: 'lutra:ready' });
  expect(ipc.sent).toEqual([['lutra:connect']]);

  const port = {};
  ipc.listeners.get('lutra:port')?.({ ports: [port] });
  expect(page.posted).toEqual([['lutra:port', '*', [port]]]);
  ipc.listeners.get('lutra:go')?.({}, '#/models');
  expect(page.location.hash).toBe('#/models');
  expect([...ipc.listeners.keys()]).toEqual(['lutra:port', 'lutra:go']);
});
