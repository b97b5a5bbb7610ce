/**
 * Web preferences that concern looks and comfort only, and are left as Electron has them. All others are spelled out.
 * `session` is among them because `partition` chooses it.
 */
export type ComfortSettings =
  | 'accessibleTitle'
  | 'autoplayPolicy'
  | 'backgroundThrottling'
  | 'defaultEncoding'
  | 'defaultFontFamily'
  | 'defaultFontSize'
  | 'defaultMonospaceFontSize'
  | 'disableDialogs'
  | 'disableHtmlFullscreenWindowResize'
  | 'disableWakeLocks'
  | 'enablePreferredSizeMode'
  | 'focusOnNavigation'
  | 'imageAnimationPolicy'
  | 'images'
  | 'javascript'
  | 'minimumFontSize'
  | 'offscreen'
  | 'safeDialogsMessage'
  | 'scrollBounce'
  | 'session'
  | 'spellcheck'
  | 'textAreasAreResizable'
  | 'transparent'
  | 'v8CacheOptions'
  | 'webgl'
  | 'zoomFactor'
  | 'zoomMode';
