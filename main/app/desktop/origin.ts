/** Where the page lives, and who may speak for it. */
export const pageOrigin = 'app://studio';

/** The page's address: the built page, or Vite's while developing. A packaged studio has only its own. */
export function pageAddress(isPackaged: boolean): string {
  const developed = isPackaged ? undefined : process.env['ELECTRON_RENDERER_URL'];
  return developed === undefined ? `${pageOrigin}/index.html` : new URL(developed).href;
}

/** `scheme://host:port`, `null` for what is no address. Node's `URL.origin` is `null` for schemes of our own. */
export function originOf(url: string): string {
  if (!URL.canParse(url)) return 'null';
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

/** What is asked of Electron's `WebFrameMain`. */
export interface Frame {
  readonly url: string;
  readonly parent: unknown;
}

/** True for the top frame of our own page. A frame inside it, or one that navigated away, is a stranger. */
export function isOwnFrame<Own extends Frame>(frame: Own | null, page: string): frame is Own {
  return frame !== null && frame.parent === null && originOf(frame.url) === originOf(page);
}
