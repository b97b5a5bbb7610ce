/** A transport over a WebSocket: the browser's own, or that of the `ws` package. */
import { decodeFrame, encodeFrame } from './codec.ts';
import type { Transport } from './transport.ts';

/** What both kinds of WebSocket have. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

const openState = 1;
const unsupportedData = 1003;

/** `socket` must be open already. A malformed message closes it. */
export function webSocketTransport(socket: WebSocketLike): Transport {
  socket.binaryType = 'arraybuffer';
  let isClosed = false;
  const transport: Transport = {
    onFrame: null,
    onClose: null,
    send(frame) {
      if (!isClosed && socket.readyState === openState) socket.send(encodeFrame(frame));
    },
    close(reason = 'closed') {
      socket.close(1000, reason);
      ended(reason);
    },
  };
  const ended = (reason: string): void => {
    if (isClosed) return;
    isClosed = true;
    transport.onClose?.(reason);
  };
  socket.addEventListener('message', ({ data }) => {
    if (isClosed) return;
    let frame: unknown;
    try {
      frame = decodeFrame(data as string | ArrayBuffer);
    } catch {
      socket.close(unsupportedData, 'malformed frame');
      return ended('malformed frame');
    }
    transport.onFrame?.(frame);
  });
  socket.addEventListener('close', ({ reason }) => ended(reason === '' ? 'closed' : reason));
  socket.addEventListener('error', () => ended('connection lost'));
  return transport;
}
