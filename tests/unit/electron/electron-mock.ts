/** Stands in for the `electron` module: records what was really asked of it. */
import { EventEmitter } from 'node:events';
import { vi } from 'vitest';

export class FakeWindow extends EventEmitter {
  static made: FakeWindow[] = [];
  readonly options: Record<string, unknown>;
  readonly loaded: string[] = [];
  isShown = false;
  constructor(options: Record<string, unknown>) {
    super();
    this.options = options;
    FakeWindow.made.push(this);
  }
  loadURL(url: string): Promise<void> {
    this.loaded.push(url);
    return Promise.resolve();
  }
  show(): void {
    this.isShown = true;
  }
  maximize = vi.fn();
  focus = vi.fn();
  restore = vi.fn();
  isMinimized = (): boolean => false;
  isMaximized = (): boolean => false;
  getNormalBounds = (): object => ({ x: 10, y: 20, width: 900, height: 700 });
}

export class FakeChild extends EventEmitter {
  pid: number | undefined = 4242;
  readonly stdout = new EventEmitter();
  readonly stderr = new EventEmitter();
  readonly posted: unknown[] = [];
  postMessage(message: unknown): void {
    this.posted.push(message);
  }
  kill = vi.fn(() => true);
}

export class FakePort extends EventEmitter {
  readonly posted: unknown[] = [];
  isClosed = false;
  postMessage(message: unknown): void {
    this.posted.push(message);
  }
  start(): void {}
  close(): void {
    this.isClosed = true;
    this.emit('close');
  }
}

export const fork = vi.fn<(entry: string, args: string[], options: Record<string, unknown>) => FakeChild>();

export function electronMock(): Record<string, unknown> {
  return {
    BrowserWindow: FakeWindow,
    nativeTheme: { shouldUseDarkColors: true },
    screen: { getAllDisplays: () => [{ workArea: { x: 0, y: 0, width: 1920, height: 1080 } }] },
    utilityProcess: { fork },
    MessageChannelMain: class {
      port1 = new FakePort();
      port2 = new FakePort();
    },
  };
}
