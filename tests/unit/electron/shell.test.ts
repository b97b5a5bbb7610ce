import type { GrantAnswer } from '../../../contract/files.ts';
import type { IpcMain, Protocol } from 'electron';
import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LutraError } from '../../../contract/errors.ts';
import type { Transport } from '../../../contract/rpc/transport.ts';
import { exitStatus } from '../../../main/app/desktop/exit-status.ts';
import { menuText } from '../../../main/app/desktop/menu-text.ts';
import { menuTemplate } from '../../../main/app/desktop/menu.ts';
import { openedPaths } from '../../../main/app/desktop/opened-paths.ts';
import { readWindowState, writeWindowState } from '../../../main/app/desktop/window-state.ts';
import { handlePorts } from '../../../main/app/electron/ports.ts';
import { handleProtocols, schemes } from '../../../main/app/electron/protocols.ts';
import { spawnUtilityEngine } from '../../../main/app/electron/spawn-utility.ts';
import { webPreferences } from '../../../main/app/electron/web-preferences.ts';
import { createWindow } from '../../../main/app/electron/window.ts';
import { FakeChild, FakeWindow, fork } from './electron-mock.ts';

vi.mock('electron', async () => (await import('./electron-mock.ts')).electronMock());

const page = 'app://studio/index.html';
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lutra shell ü '));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('app:// and media://', () => {
  const handlers = new Map<string, (request: Request) => Promise<Response>>();
  const ask = (url: string, init: RequestInit = {}): Promise<Response> => {
    const scheme = url.slice(0, url.indexOf(':'));
    const handler = handlers.get(scheme);
    if (handler === undefined) throw new Error(`Nobody answers ${scheme}.`);
    return handler(new Request(url, init));
  };
  beforeEach(async () => {
    const pageFolder = join(folder, 'page');
    await mkdir(pageFolder);
    await writeFile(join(pageFolder, 'index.html'), '<meta nonce="__CSP_NONCE__">');
    await writeFile(join(pageFolder, 'main.js'), 'script');
    await writeFile(join(folder, 'clip.webm'), '0123456789');
    await symlink(join(folder, 'clip.webm'), join(pageFolder, 'link.webm'));
    const protocol = {
      handle: (scheme: string, handler: (request: Request) => Promise<Response>) => handlers.set(scheme, handler),
    };
    handleProtocols(protocol as unknown as Protocol, {
      pageFolder,
      resolveGrant: (id) => {
        if (id === 'folder') return { path: folder, isFolder: true, sizeBytes: 0 };
        if (id !== 'clip') throw new LutraError({ code: 'not-found', message: 'not granted' });
        return { path: join(folder, 'clip.webm'), isFolder: false, sizeBytes: 10 };
      },
    });
  });

  test('are standard, secure schemes that never get around the policy', () => {
    expect(schemes.map(({ scheme }) => scheme)).toEqual(['app', 'media']);
    for (const { privileges } of schemes) {
      expect(privileges).toMatchObject({ standard: true, secure: true, stream: true });
      expect(privileges?.bypassCSP ?? privileges?.allowServiceWorkers ?? privileges?.allowExtensions ?? false).toBe(
        false,
      );
    }
  });

  test('the page carries a fresh nonce in its text and in its policy', async () => {
    const seen = new Set<string>();
    for (const address of ['app://studio/', page]) {
      const answer = await ask(address);
      const nonce = /nonce="([^"]+)"/.exec(await answer.text())?.[1] ?? '';
      expect(answer.headers.get('content-security-policy')).toContain(`'nonce-${nonce}'`);
      seen.add(nonce);
    }
    expect(seen.size).toBe(2);
    expect(seen).not.toContain('__CSP_NONCE__');
  });

  test.each([
    'app://other/index.html',
    'app://studio/%2e%2e%2fclip.webm',
    'app://studio/..%5cclip.webm',
    'app://studio/link.webm',
    'app://studio/none.js',
  ])('%s is not served', async (address) => expect((await ask(address)).status).toBe(404));

  test('only reading is answered', async () => {
    expect((await ask(page, { method: 'POST' })).status).toBe(405);
    expect((await ask('media://grant/clip', { method: 'DELETE' })).status).toBe(405);
  });

  test('a granted file comes whole, in part, or not at all', async () => {
    const whole = await ask('media://grant/clip');
    expect([whole.status, whole.headers.get('content-type'), await whole.text()]).toEqual([
      200,
      'video/webm',
      '0123456789',
    ]);
    const part = await ask('media://grant/clip', { headers: { range: 'bytes=2-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    const beyond = await ask('media://grant/clip', { headers: { range: 'bytes=99-' } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */10']);
  });

  test.each(['media://grant/other', 'media://elsewhere/clip', 'media://grant/folder', 'media://grant/../clip.webm'])(
    '%s is not served',
    async (address) => expect((await ask(address)).status).toBe(404),
  );
});

describe('the page’s port', () => {
  const setUp = (): {
    ipc: EventEmitter;
    grant: (frame: object, path: unknown) => Promise<GrantAnswer>;
    served: Transport[];
    ended: number[];
  } => {
    const served: Transport[] = [];
    const ended: number[] = [];
    const handlers = new Map<string, (event: object, path: unknown) => Promise<GrantAnswer>>();
    const ipc = Object.assign(new EventEmitter(), {
      handle: (name: string, handler: (event: object, path: unknown) => Promise<GrantAnswer>) =>
        handlers.set(name, handler),
    });
    const studio = {
      serve: (transport: Transport) => {
        const index = served.push(transport) - 1;
        return () => void ended.push(index);
      },
      files: {
        grant: (path: string) =>
          path === '/gone'
            ? Promise.reject(new LutraError({ code: 'file-access', message: 'It is gone.', hint: 'Look elsewhere.' }))
            : Promise.resolve({ id: `grant of ${path}` }),
      },
    };
    handlePorts(ipc as unknown as IpcMain, studio as unknown as Parameters<typeof handlePorts>[1], page);
    const grant = (senderFrame: object, path: unknown): Promise<GrantAnswer> =>
      handlers.get('lutra:grant')?.({ senderFrame }, path) ?? Promise.reject(new Error('no handler'));
    return { ipc, grant, served, ended };
  };
  const ownFrame = (): { url: string; parent: null; postMessage: ReturnType<typeof vi.fn> } => ({
    url: `${page}#/chat`,
    parent: null,
    postMessage: vi.fn(),
  });
  const sender = (): EventEmitter & { id: number } => Object.assign(new EventEmitter(), { id: 7 });

  test('goes to our own top frame, one at a time', () => {
    const { ipc, served, ended } = setUp();
    const frame = ownFrame();
    const contents = sender();
    ipc.emit('lutra:connect', { senderFrame: frame, sender: contents });
    expect(frame.postMessage).toHaveBeenCalledExactlyOnceWith('lutra:port', null, [expect.anything()]);
    ipc.emit('lutra:connect', { senderFrame: frame, sender: contents });
    expect([served.length, ended]).toEqual([2, [0]]);
    contents.emit('destroyed');
    expect(ended).toContain(1);
  });

  test.each([
    ['no frame', null],
    ['a frame inside the page', { url: page, parent: {} }],
    ['another origin', { url: 'https://example.org/', parent: null }],
    ['a name that only begins like ours', { url: 'app://studio.example.org/', parent: null }],
    ['no address', { url: '', parent: null }],
  ])('never goes to %s, nor does a grant', async (_who, frame) => {
    const { ipc, grant, served } = setUp();
    const postMessage = vi.fn();
    ipc.emit('lutra:connect', { senderFrame: frame === null ? null : { ...frame, postMessage }, sender: sender() });
    expect(served).toEqual([]);
    expect(postMessage).not.toHaveBeenCalled();
    await expect(grant(frame as object, '/a/b')).rejects.toThrow(/Only the studio/);
  });

  test('a grant takes a path and nothing else', async () => {
    const { grant } = setUp();
    expect(await grant(ownFrame(), '/a/b')).toEqual({ grant: { id: 'grant of /a/b' } });
    for (const path of ['', null, 3, {}, ['x'], 'x'.repeat(40_000)]) {
      expect(await grant(ownFrame(), path)).toMatchObject({ error: { code: 'bad-input' } });
    }
    expect(await grant(ownFrame(), '/gone')).toEqual({
      error: { code: 'file-access', message: 'It is gone.', hint: 'Look elsewhere.' },
    });
  });
});

describe('the window', () => {
  test('has the guarded preferences, opens our page and shows when painted', async () => {
    await createWindow({ page, preload: '/p.cjs', dataFolder: folder, isPackaged: true });
    const window = FakeWindow.made.at(-1);
    expect(window?.options).toMatchObject({ webPreferences: webPreferences('/p.cjs', true), show: false, width: 1280 });
    expect(window?.loaded).toEqual([page]);
    expect(window?.isShown).toBe(false);
    window?.emit('ready-to-show');
    expect(window?.isShown).toBe(true);
  });

  test('opens again where it was closed', async () => {
    await createWindow({ page, preload: '/p.cjs', dataFolder: folder, isPackaged: true });
    FakeWindow.made.at(-1)?.emit('close');
    await createWindow({ page, preload: '/p.cjs', dataFolder: folder, isPackaged: true });
    expect(FakeWindow.made.at(-1)?.options).toMatchObject({ x: 10, y: 20, width: 900, height: 700 });
  });

  test('does not open on a display that is gone, nor from a broken file', async () => {
    const display = { x: 0, y: 0, width: 1920, height: 1080 };
    const bounds = { x: 2500, y: 100, width: 900, height: 700 };
    writeWindowState(folder, { bounds, isMaximized: true });
    expect(readWindowState(folder, [display])).toEqual({ bounds: null, isMaximized: true });
    expect(readWindowState(folder, [display, { ...display, x: 1920 }]).bounds).toEqual(bounds);
    for (const text of ['', '{', 'null', '{"bounds":{"x":1e99,"y":0,"width":-4,"height":1},"isMaximized":0}']) {
      await writeFile(join(folder, 'window.json'), text);
      expect(readWindowState(folder, [display])).toEqual({ bounds: null, isMaximized: false });
    }
  });
});

describe('the engine as a utility process', () => {
  const start = async (): Promise<{
    child: FakeChild;
    engine: Awaited<ReturnType<ReturnType<typeof spawnUtilityEngine>>>;
  }> => {
    const child = new FakeChild();
    fork.mockReturnValueOnce(child);
    const starting = spawnUtilityEngine('/out/main/engine.js')({ env: { GGML_NO_BACKTRACE: '1' } });
    child.emit('spawn');
    return { child, engine: await starting };
  };

  test('gets its environment and passes frames both ways', async () => {
    const { child, engine } = await start();
    expect(fork.mock.lastCall?.[0]).toBe('/out/main/engine.js');
    expect(fork.mock.lastCall?.[2]).toMatchObject({
      env: { GGML_NO_BACKTRACE: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const received: unknown[] = [];
    engine.transport.onFrame = (frame) => received.push(frame);
    child.emit('message', { t: 'result', id: 1 });
    engine.transport.send({ t: 'call', id: 1 });
    expect(received).toEqual([{ t: 'result', id: 1 }]);
    expect(child.posted).toEqual([{ t: 'call', id: 1 }]);
  });

  test('tells how it ended, with the end of its log, and closes the transport', async () => {
    const { child, engine } = await start();
    const [onExit, onClose] = [vi.fn(), vi.fn()];
    engine.onExit = onExit;
    engine.transport.onClose = onClose;
    child.stderr.emit('data', Buffer.from('x'.repeat(9000)));
    child.stderr.emit('data', Buffer.from('GGML_ASSERT(a) failed'));
    child.emit('exit', process.platform === 'win32' ? 3 : 11);
    expect(onExit.mock.calls[0]?.[0].log).toMatch(/^x+GGML_ASSERT\(a\) failed$/);
    expect(onClose).toHaveBeenCalledOnce();
  });

  test('is ended at once, not asked', async () => {
    const { engine } = await start();
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    engine.kill();
    expect(kill).toHaveBeenCalledExactlyOnceWith(4242, 'SIGKILL');
    kill.mockRestore();
  });

  test('that ends before it began is an error with its words', async () => {
    const child = new FakeChild();
    fork.mockReturnValueOnce(child);
    const starting = spawnUtilityEngine('/engine.js')({ env: {} });
    child.stderr.emit('data', Buffer.from('no such module'));
    child.emit('exit', 1);
    await expect(starting).rejects.toThrow(/no such module/);
  });

  test('its signals are told from its codes', () => {
    expect(exitStatus(11, 'linux')).toEqual({ code: null, signal: 'SIGSEGV' });
    expect(exitStatus(128 + 6, 'linux')).toEqual({ code: null, signal: 'SIGABRT' });
    expect(exitStatus(9, 'darwin')).toEqual({ code: null, signal: 'SIGKILL' });
    expect(exitStatus(1, 'linux')).toEqual({ code: 1, signal: null });
    expect(exitStatus(0, 'linux')).toEqual({ code: 0, signal: null });
    expect(exitStatus(11, 'win32')).toEqual({ code: 11, signal: null });
  });
});

test('the menu leads to places of the page, in both languages', () => {
  const places: string[] = [];
  for (const isMac of [true, false]) {
    const entries = menuTemplate(menuText('zh-CN'), isMac, (place) => places.push(place)).flatMap(
      ({ submenu = [] }) => submenu,
    );
    for (const { click } of entries) click?.();
    expect(
      entries.filter(({ type }) => type === undefined).every(({ label }) => /\p{Script=Han}/u.test(label ?? '')),
    ).toBe(true);
    const accelerators = entries.flatMap(({ accelerator }) => accelerator ?? []);
    expect(new Set(accelerators).size).toBe(accelerators.length);
  }
  expect(new Set(places)).toEqual(new Set(['#/chat', '#/models', '#/jobs', '#/settings']));
  expect(menuText('de').file).toBe('File');
});

test('files on the command line are told from options and addresses', () => {
  expect(openedPaths(['lutra', '--flag', 'a b.gguf', '/abs/ü', 'https://x/', ''], '/home', true)).toEqual([
    '/home/a b.gguf',
    '/abs/ü',
  ]);
  expect(openedPaths(['electron', '.', 'm.gguf'], '/home', false)).toEqual(['/home/m.gguf']);
});
