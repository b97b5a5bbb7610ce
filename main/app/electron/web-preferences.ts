/** Every setting that could weaken the page's sandbox, spelled out: one that is left out does not compile. */
import type { WebPreferences } from 'electron';
import type { ComfortSettings } from '../desktop/comfort-settings.ts';

/** Whatever Electron has, or will have, beside looks and comfort. */
export type SecuritySettings = Required<Omit<WebPreferences, ComfortSettings>>;

/** In memory: the page keeps nothing on disk, everything lasting is in main. */
export const partition = 'studio';

export function webPreferences(preload: string, isPackaged: boolean): SecuritySettings {
  return {
    additionalArguments: [],
    allowRunningInsecureContent: false,
    contextIsolation: true,
    devTools: !isPackaged,
    disableBlinkFeatures: '',
    enableBlinkFeatures: '',
    enableDeprecatedPaste: false,
    enableWebSQL: false,
    experimentalFeatures: false,
    navigateOnDragDrop: false,
    nodeIntegration: false,
    nodeIntegrationInSubFrames: false,
    nodeIntegrationInWorker: false,
    partition,
    plugins: false,
    preload,
    safeDialogs: true,
    sandbox: true,
    webSecurity: true,
    webviewTag: false,
  };
}
