import type { App, Session, WebContents } from 'electron';
import { EventEmitter } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import {
  denyNetwork,
  denyPermissions,
  guardContents,
  refuseCertificateErrors,
} from '../../../main/app/electron/guards.ts';
import { webPreferences } from '../../../main/app/electron/web-preferences.ts';

const page = 'app://studio/index.html';
type Handler = (...args: never[]) => unknown;

class FakeSession extends EventEmitter {
  readonly handlers = new Map<string, Handler>();
  readonly webRequest = { onBeforeRequest: (handler: Handler): void => void this.handlers.set('request', handler) };
  setPermissionRequestHandler = (handler: Handler): void => void this.handlers.set('permission', handler);
  setPermissionCheckHandler = (handler: Handler): void => void this.handlers.set('check', handler);
  setDevicePermissionHandler = (handler: Handler): void => void this.handlers.set('device', handler);
  setDisplayMediaRequestHandler = (handler: Handler): void => void this.handlers.set('display', handler);
  setBluetoothPairingHandler = (handler: Handler): void => void this.handlers.set('bluetooth', handler);
  call(name: string, ...args: unknown[]): unknown {
    return (this.handlers.get(name) as (...given: unknown[]) => unknown)(...args);
  }
}

function guardedSession(isPackaged = true, address = page): FakeSession {
  const session = new FakeSession();
  denyPermissions(session as unknown as Session, address);
  denyNetwork(session as unknown as Session, address, isPackaged);
  return session;
}

describe('web preferences', () => {
  test.each([
    ['contextIsolation', true],
    ['sandbox', true],
    ['webSecurity', true],
    ['safeDialogs', true],
    ['nodeIntegration', false],
    ['nodeIntegrationInWorker', false],
    ['nodeIntegrationInSubFrames', false],
    ['webviewTag', false],
    ['allowRunningInsecureContent', false],
    ['experimentalFeatures', false],
    ['enableBlinkFeatures', ''],
    ['disableBlinkFeatures', ''],
    ['enableDeprecatedPaste', false],
    ['enableWebSQL', false],
    ['navigateOnDragDrop', false],
    ['plugins', false],
    ['additionalArguments', []],
    ['preload', '/p.cjs'],
  ] as const)('%s is %j', (name, value) => expect(webPreferences('/p.cjs', true)[name]).toEqual(value));

  test('keep the inspector for development, and the page in a session of memory only', () => {
    expect(webPreferences('/p.cjs', true).devTools).toBe(false);
    expect(webPreferences('/p.cjs', false).devTools).toBe(true);
    expect(webPreferences('/p.cjs', true).partition).not.toMatch(/^persist:/);
  });
});

describe('permissions', () => {
  const wanted = [
    'media',
    'geolocation',
    'notifications',
    'usb',
    'hid',
    'serial',
    'clipboard-read',
    'fileSystem',
    'openExternal',
    'display-capture',
    'midi',
    'unknown',
  ];

  test.each(wanted)('%s is denied when asked and when checked', (permission) => {
    const session = guardedSession();
    const answer = vi.fn();
    session.call('permission', null, permission, answer, { isMainFrame: true, requestingUrl: page });
    expect(answer).toHaveBeenCalledExactlyOnceWith(false);
    expect(session.call('check', null, permission, 'app://studio/', { isMainFrame: true })).toBe(false);
  });

  test('copying text is left to our own top frame alone', () => {
    const session = guardedSession();
    const check = (origin: string, isMainFrame: boolean): unknown =>
      session.call('check', null, 'clipboard-sanitized-write', origin, { isMainFrame });
    expect(check('app://studio/', true)).toBe(true);
    expect(check('app://studio/', false)).toBe(false);
    expect(check('https://example.org/', true)).toBe(false);
    expect(check('app://studio.example.org/', true)).toBe(false);
  });

  test('devices, screens and Bluetooth are never handed out', () => {
    const session = guardedSession();
    const [display, bluetooth] = [vi.fn(), vi.fn()];
    session.call('display', {}, display);
    session.call('bluetooth', {}, bluetooth);
    expect(session.call('device', {})).toBe(false);
    expect(display).toHaveBeenCalledExactlyOnceWith(null);
    expect(bluetooth).toHaveBeenCalledExactlyOnceWith({ confirmed: false });
  });
});

describe('the network', () => {
  const isCancelled = (url: string, isPackaged = true, address = page): unknown => {
    const answer = vi.fn<(result: { cancel: boolean }) => void>();
    guardedSession(isPackaged, address).call('request', { url }, answer);
    return answer.mock.calls[0]?.[0].cancel;
  };

  test.each([
    'https://example.org/',
    'http://127.0.0.1/',
    'wss://example.org/',
    'file:///etc/passwd',
    'ftp://x/',
    'devtools://x/',
  ])('%s cannot be asked for by the page', (url) => expect(isCancelled(url)).toBe(true));

  test.each([page, 'media://grant/1', 'blob:app://studio/1', 'data:image/png;base64,AA=='])('%s is local', (url) =>
    expect(isCancelled(url)).toBe(false),
  );

  test('while developing, only Vite’s own server is reached', () => {
    const vite = 'http://localhost:5173/';
    expect(isCancelled('http://localhost:5173/main.tsx', false, vite)).toBe(false);
    expect(isCancelled('ws://localhost:5173/', false, vite)).toBe(false);
    expect(isCancelled('http://localhost:5174/', false, vite)).toBe(true);
  });
});

describe('a page', () => {
  class FakeContents extends EventEmitter {
    open: ((details: { url: string }) => unknown) | null = null;
    setWindowOpenHandler = (handler: (details: { url: string }) => unknown): void => void (this.open = handler);
  }
  const guarded = (): { contents: FakeContents; opened: string[] } => {
    const contents = new FakeContents();
    const opened: string[] = [];
    guardContents(contents as unknown as WebContents, page, (url) => void opened.push(url));
    return { contents, opened };
  };
  const isPrevented = (name: string, details: object): boolean => {
    const preventDefault = vi.fn();
    guarded().contents.emit(name, { ...details, preventDefault });
    return preventDefault.mock.calls.length === 1;
  };

  test.each([
    'https://example.org/',
    'file:///etc/passwd',
    'app://studio/other.html',
    'app://other/index.html',
    'about:blank',
    'javascript:1',
  ])('cannot go to %s', (url) => expect(isPrevented('will-frame-navigate', { url, isMainFrame: true })).toBe(true));

  test('may reload itself, but no frame inside it may', () => {
    expect(isPrevented('will-frame-navigate', { url: `${page}#/models`, isMainFrame: true })).toBe(false);
    expect(isPrevented('will-frame-navigate', { url: page, isMainFrame: false })).toBe(true);
  });

  test('cannot be redirected or hold a webview', () => {
    expect(isPrevented('will-redirect', { url: page, isMainFrame: true })).toBe(true);
    expect(isPrevented('will-attach-webview', {})).toBe(true);
  });

  test('opens no window; only a web link goes to the browser', () => {
    const { contents, opened } = guarded();
    for (const url of ['https://example.org/', 'file:///etc/passwd', 'javascript:1', 'app://studio/', 'smb://x/y']) {
      expect(contents.open?.({ url })).toEqual({ action: 'deny' });
    }
    expect(opened).toEqual(['https://example.org/']);
  });
});

test('a wrong certificate is never accepted', () => {
  const app = new EventEmitter();
  refuseCertificateErrors(app as unknown as App);
  const [preventDefault, answer] = [vi.fn(), vi.fn()];
  app.emit('certificate-error', { preventDefault }, null, 'https://x/', 'net::ERR', {}, answer);
  expect(preventDefault).toHaveBeenCalledOnce();
  expect(answer).toHaveBeenCalledExactlyOnceWith(false);
});
