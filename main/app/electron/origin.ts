/** Where the page lives, and who may speak for it. */
import type { WebFrameMain } from 'electron';
import { originOf, pageOrigin } from '../desktop/answers.ts';

/** The page's address: the built page, or Vite's while developing. A packaged studio has only its own. */
export function pageAddress(isPackaged: boolean): string {
  const developed = isPackaged ? undefined : process.env['ELECTRON_RENDERER_URL'];
  return developed ?? `${pageOrigin}/index.html`;
}

/** True for the top frame of our own page. A frame inside it, or one that navigated away, is a stranger. */
export function isOwnFrame(frame: WebFrameMain | null, page: string): frame is WebFrameMain {
  return frame !== null && frame.parent === null && originOf(frame.url) === originOf(page);
}
