/** What the services may ask of the desktop: a file dialog, the browser, the engine process. */
import { app, dialog, shell } from 'electron';
import { version } from '../../../package.json';
import { toErrorData } from '../../../contract/errors.ts';
import type { Host } from '../../host.ts';
import { menuText } from '../desktop/menu-text.ts';
import { safeExternalUrl } from '../security.ts';
import { spawnUtilityEngine } from './spawn-utility.ts';

export function desktopHost(engineEntry: string): Host {
  return {
    kind: 'electron',
    version,
    pickFiles: async (purpose) => {
      const isFolder = purpose === 'model-folder' || purpose === 'folder';
      const text = menuText(app.getLocale());
      const { canceled, filePaths } = await dialog.showOpenDialog({
        title: isFolder ? text.chooseFolder : text.chooseFile,
        properties: isFolder ? ['openDirectory'] : ['openFile', 'multiSelections'],
        filters: purpose === 'chat-import' ? [{ name: 'JSON', extensions: ['json'] }] : [],
      });
      return canceled ? null : filePaths;
    },
    openExternal,
    spawnEngine: spawnUtilityEngine(engineEntry),
  };
}

/** The only way to the system's browser; other addresses than http(s) do nothing. */
export async function openExternal(url: string): Promise<void> {
  const safe = safeExternalUrl(url);
  if (safe !== null) await shell.openExternal(safe);
}

/** For links that the page did not ask about itself: shows the whole address first. */
export async function openAfterAsking(url: string): Promise<void> {
  const text = menuText(app.getLocale());
  const { response } = await dialog.showMessageBox({
    type: 'question',
    message: text.openLink,
    detail: url,
    buttons: [text.cancel, text.open],
    defaultId: 0,
    cancelId: 0,
  });
  if (response === 1) await openExternal(url);
}

/** Says what happened and what to do next. */
export async function showError(thrown: unknown): Promise<void> {
  const { message, hint } = toErrorData(thrown);
  await dialog.showMessageBox({
    type: 'error',
    title: 'Lutra',
    message,
    ...(hint === undefined ? {} : { detail: hint }),
  });
}
