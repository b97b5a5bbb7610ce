/** Everything a page might ask of the system, refused: permissions, navigation, windows, certificates, the network. */
import type { App, Session, WebContents } from 'electron';
import { originOf } from '../desktop/origin.ts';
import { safeExternalUrl } from '../security.ts';

/** Copying text is all that the page may do by itself. */
const allowedPermission = 'clipboard-sanitized-write';
const localSchemes = new Set(['app:', 'media:', 'blob:', 'data:']);

export function denyPermissions(session: Session, page: string): void {
  const isAllowed = (permission: string, isMainFrame: boolean, url: string): boolean =>
    permission === allowedPermission && isMainFrame && originOf(url) === originOf(page);
  session.setPermissionRequestHandler((_contents, permission, answer, details) =>
    answer(isAllowed(permission, details.isMainFrame, details.requestingUrl)),
  );
  session.setPermissionCheckHandler((_contents, permission, origin, details) =>
    isAllowed(permission, details.isMainFrame, origin),
  );
  session.setDevicePermissionHandler(() => false);
  session.setDisplayMediaRequestHandler((_request, answer) => answer(null));
  session.setBluetoothPairingHandler((_details, answer) => answer({ confirmed: false }));
}

/** The page needs no network at all; while developing, Vite's server and the inspector. */
export function denyNetwork(session: Session, page: string, isPackaged: boolean): void {
  const { protocol, host } = new URL(page);
  session.webRequest.onBeforeRequest((details, answer) => {
    const url = new URL(details.url);
    const isVite = protocol === 'http:' && url.host === host;
    const isInspector = !isPackaged && url.protocol === 'devtools:';
    answer({ cancel: !localSchemes.has(url.protocol) && !isVite && !isInspector });
  });
}

/** For every web contents that ever comes to be. The page may reload itself and go nowhere else. */
export function guardContents(contents: WebContents, page: string, openExternal: (url: string) => void): void {
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.on('will-frame-navigate', (event) => {
    if (!event.isMainFrame || event.url.split('#')[0] !== page) event.preventDefault();
  });
  contents.on('will-redirect', (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    const safe = safeExternalUrl(url);
    if (safe !== null) openExternal(safe);
    return { action: 'deny' };
  });
}

/** Never, for nobody: also not after a "continue anyway". */
export function refuseCertificateErrors(app: App): void {
  app.on('certificate-error', (event, _contents, _url, _error, _certificate, answer) => {
    event.preventDefault();
    answer(false);
  });
}
