/** The studio's window. */
import { BrowserWindow, nativeTheme, screen } from 'electron';
import { readWindowState, writeWindowState } from '../desktop/window-state.ts';
import { webPreferences } from './web-preferences.ts';

/** The page's own colours before it is painted (renderer/styles.css). */
const background = { light: '#fbfbfa', dark: '#161716' };

export interface WindowOptions {
  readonly page: string;
  readonly preload: string;
  readonly dataFolder: string;
  readonly isPackaged: boolean;
}

export async function createWindow({ page, preload, dataFolder, isPackaged }: WindowOptions): Promise<BrowserWindow> {
  const { bounds, isMaximized } = readWindowState(
    dataFolder,
    screen.getAllDisplays().map(({ workArea }) => workArea),
  );
  const window = new BrowserWindow({
    ...(bounds ?? { width: 1280, height: 840 }),
    minWidth: 720,
    minHeight: 480,
    show: false,
    title: 'Lutra',
    backgroundColor: nativeTheme.shouldUseDarkColors ? background.dark : background.light,
    webPreferences: webPreferences(preload, isPackaged),
  });
  if (isMaximized) window.maximize();
  window.once('ready-to-show', () => window.show());
  window.on('close', () =>
    writeWindowState(dataFolder, { bounds: window.getNormalBounds(), isMaximized: window.isMaximized() }),
  );
  await window.loadURL(page);
  return window;
}

/** Brings the window to the front. */
export function focusWindow(window: BrowserWindow): void {
  if (window.isMinimized()) window.restore();
  window.show();
  window.focus();
}
