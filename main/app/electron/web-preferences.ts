/** Every setting that could weaken the page's sandbox, spelled out: one that is left out does not compile. */
import type { WebPreferences } from 'electron';

/** Looks and comfort, left as they are. Whatever else Electron has, or will have, is set below. */
type ComfortSettings =
  | 'accessibleTitle'
  | 'autoplayPolicy'
  | 'backgroundThrottling'
  | 'disableDialogs'
  | 'disableHtmlFullscreenWindowResize'
  | 'disableWakeLocks'
  | `${'default' | 'minimum'}${'Encoding' | 'FontFamily' | 'FontSize' | 'MonospaceFontSize'}`
  | 'enablePreferredSizeMode'
  | 'focusOnNavigation'
  | `image${'s' | 'AnimationPolicy'}`
  | 'javascript'
  | 'offscreen'
  | 'safeDialogsMessage'
  | 'scrollBounce'
  | 'session' // chosen by `partition`
  | 'spellcheck'
  | 'textAreasAreResizable'
  | 'transparent'
  | 'v8CacheOptions'
  | 'webgl'
  | `zoom${'Factor' | 'Mode'}`;

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
