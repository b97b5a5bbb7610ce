/** How the page reaches main: a port from Electron's preload, or a WebSocket to the headless host. */
import { messagePortTransport } from '../../contract/rpc/message-port.ts';
import type { GrantAnswer } from '../../contract/files.ts';
import type { Transport } from '../../contract/rpc/transport.ts';
import { webSocketTransport } from '../../contract/rpc/websocket.ts';

/** What Electron's preload puts on the window. */
export interface ElectronBridge {
  readonly host: 'electron';
  /** Turns a dropped or chosen file or folder into a grant. */
  grantFor(file: File): Promise<GrantAnswer>;
}

export function electronBridge(): ElectronBridge | null {
  return (window as { lutra?: ElectronBridge }).lutra ?? null;
}

const portTimeoutMs = 10_000;

/** Asks preload for a port and waits for the hand-over. */
export function dialElectron(): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      window.removeEventListener('message', onMessage);
      reject(new Error('No port arrived.'));
    }, portTimeoutMs);
    const onMessage = (event: MessageEvent): void => {
      const port = event.ports[0];
      if (event.source !== window || event.data !== 'lutra:port' || port === undefined) return;
      clearTimeout(timer);
      window.removeEventListener('message', onMessage);
      resolve(messagePortTransport(port));
    };
    window.addEventListener('message', onMessage);
    window.postMessage('lutra:ready', window.location.origin === 'null' ? '*' : window.location.origin);
  });
}

export function dialWebSocket(): Promise<Transport> {
  const url = new URL('/rpc', window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const failed = (): void => reject(new Error('The connection could not be made.'));
    socket.addEventListener('open', () => resolve(webSocketTransport(socket)), { once: true });
    socket.addEventListener('error', failed, { once: true });
    socket.addEventListener('close', failed, { once: true });
  });
}
