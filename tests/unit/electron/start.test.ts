import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeWindow } from './electron-mock.ts';

/** What was asked of Electron and of the services, in order. */
const calls: string[] = [];
const dialogs: unknown[] = [];
const added: unknown[] = [];

class FakeContents {
  readonly sent: unknown[][] = [];
  send(...args: unknown[]): void {
    this.sent.push(args);
  }
}

function fakeElectron(options: { isLockFree: boolean }): Record<string, unknown> & { app: EventEmitter } {
  const app = Object.assign(new EventEmitter(), {
    isPackaged: true,
    enableSandbox: () => calls.push('sandbox'),
    requestSingleInstanceLock: () => options.isLockFree,
    quit: () => calls.push('quit'),
    exit: () => calls.push('exit'),
    getLocale: () => 'en-US',
    whenReady: () => {
      calls.push('ready');
      return Promise.resolve();
    },
  });
  const session = new Proxy(
    { protocol: { handle: (scheme: string) => calls.push(`handle ${scheme}`) } },
    {
      get: (target, name) =>
        name === 'protocol'
          ? target.protocol
          : name === 'webRequest'
            ? { onBeforeRequest: () => calls.push('network') }
            : () => calls.push(String(name)),
    },
  );
  class ShellWindow extends FakeWindow {
    static getAllWindows = (): FakeWindow[] => FakeWindow.made;
    readonly webContents = new FakeContents();
  }
  return {
    app,
    BrowserWindow: ShellWindow,
    dialog: {
      showMessageBox: (box: unknown) => {
        dialogs.push(box);
        return Promise.resolve({ response: 0 });
      },
    },
    ipcMain: { on: () => calls.push('connect'), handle: () => calls.push('grant') },
    Menu: { buildFromTemplate: (template: unknown) => template, setApplicationMenu: () => calls.push('menu') },
    MessageChannelMain: Object,
    nativeTheme: { shouldUseDarkColors: false },
    protocol: { registerSchemesAsPrivileged: () => calls.push('schemes') },
    screen: { getAllDisplays: () => [] },
    session: { fromPartition: (name: string) => (calls.push(`session ${name}`), session) },
    shell: { openExternal: (url: string) => (calls.push(`open ${url}`), Promise.resolve()) },
    utilityProcess: {},
  };
}

interface Start {
  readonly isLockFree?: boolean;
  readonly argv?: string[];
  readonly open?: () => Promise<unknown>;
}

async function start({ isLockFree = true, argv = ['lutra'], open }: Start = {}): Promise<EventEmitter> {
  const electron = fakeElectron({ isLockFree });
  const studio = {
    files: { grant: (path: string) => Promise.resolve({ id: `grant of ${path}` }) },
    models: { handlers: { add: (input: unknown) => Promise.resolve(added.push(input)) } },
    dispose: () => {
      calls.push('dispose');
      return Promise.resolve();
    },
  };
  vi.doMock('electron', () => electron);
  vi.doMock('../../../main/studio.ts', () => ({
    createStudio: () => {
      calls.push('studio');
      return open?.() ?? Promise.resolve(studio);
    },
  }));
  vi.stubGlobal('process', Object.assign(Object.create(process) as typeof process, { argv }));
  await import('../../../main/app/electron/index.ts');
  return electron.app;
}

beforeEach(() => {
  vi.resetModules();
  for (const list of [calls, dialogs, added, FakeWindow.made]) list.length = 0;
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.doUnmock('electron');
  vi.doUnmock('../../../main/studio.ts');
});

const windowOpened = (): Promise<unknown> => vi.waitFor(() => expect(FakeWindow.made[0]?.loaded).toHaveLength(1));

describe('the desktop studio', () => {
  test('is sandboxed and has its schemes before Electron is ready', async () => {
    await start();
    await windowOpened();
    const before = calls.slice(0, calls.indexOf('ready'));
    expect(before).toEqual(expect.arrayContaining(['sandbox', 'schemes']));
  });

  test('denies everything and answers its schemes before a page can ask', async () => {
    const seen: string[] = [];
    const push = FakeWindow.prototype.loadURL;
    vi.spyOn(FakeWindow.prototype, 'loadURL').mockImplementation(function load(this: FakeWindow, url) {
      seen.push(...calls);
      return push.call(this, url);
    });
    await start();
    await windowOpened();
    expect(seen).toEqual(
      expect.arrayContaining([
        'session studio',
        'setPermissionRequestHandler',
        'setPermissionCheckHandler',
        'setDevicePermissionHandler',
        'setDisplayMediaRequestHandler',
        'setBluetoothPairingHandler',
        'network',
        'handle app',
        'handle media',
        'connect',
        'grant',
      ]),
    );
    vi.restoreAllMocks();
  });

  test('guards every web contents, and refuses wrong certificates', async () => {
    const app = await start();
    const contents = Object.assign(new EventEmitter(), { setWindowOpenHandler: vi.fn() });
    app.emit('web-contents-created', {}, contents);
    expect(contents.setWindowOpenHandler).toHaveBeenCalledOnce();
    expect(contents.listenerCount('will-frame-navigate')).toBe(1);
    expect(app.listenerCount('certificate-error')).toBe(1);
    await windowOpened();
  });

  test('asks, with the whole address, before a link leaves the studio', async () => {
    const app = await start();
    const contents = Object.assign(new EventEmitter(), {
      setWindowOpenHandler: vi.fn<(handler: (details: { url: string }) => unknown) => void>(),
    });
    app.emit('web-contents-created', {}, contents);
    contents.setWindowOpenHandler.mock.calls[0]?.[0]({ url: 'https://example.org/?secret=1' });
    await vi.waitFor(() => expect(dialogs).toMatchObject([{ detail: 'https://example.org/?secret=1', defaultId: 0 }]));
    expect(calls.filter((call) => call.startsWith('open '))).toEqual([]);
    await windowOpened();
  });

  test('is one: a second start leaves at once and touches no data', async () => {
    await start({ isLockFree: false });
    expect(calls).toContain('quit');
    expect(calls).not.toContain('studio');
    expect(FakeWindow.made).toEqual([]);
  });

  test('comes to the front when it is started again', async () => {
    const app = await start();
    await windowOpened();
    app.emit('second-instance', {}, ['lutra'], '/home');
    await vi.waitFor(() => expect(FakeWindow.made[0]?.focus).toHaveBeenCalledOnce());
    expect(FakeWindow.made).toHaveLength(1);
  });

  test('opens the files that it was started with, as grants', async () => {
    const app = await start({ argv: ['lutra', '--flag', '/models/水獭.gguf'] });
    await vi.waitFor(() => expect(added).toEqual([{ grantId: 'grant of /models/水獭.gguf' }]));
    app.emit('second-instance', {}, ['lutra', 'b.gguf'], '/home');
    await vi.waitFor(() => expect(added.at(-1)).toEqual({ grantId: expect.stringMatching(/b\.gguf$/) as string }));
  });

  test('says why it cannot open its data, and ends', async () => {
    await start({ open: () => Promise.reject(new Error('Another studio has this folder.')) });
    await vi.waitFor(() => expect(calls).toContain('exit'));
    expect(dialogs).toMatchObject([{ type: 'error', message: 'Another studio has this folder.' }]);
  });

  test('ends only after its services have', async () => {
    const app = await start();
    await windowOpened();
    const preventDefault = vi.fn();
    app.emit('will-quit', { preventDefault });
    expect(preventDefault).toHaveBeenCalledOnce();
    await vi.waitFor(() => expect(calls.slice(-2)).toEqual(['dispose', 'exit']));
  });
});
