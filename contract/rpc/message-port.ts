/**
 * A transport over a message port: the page's `MessagePort`, Node's (worker_threads), Electron's
 * `MessagePortMain`, or a utility process's `parentPort`.
 */
import type { Transport } from './transport.ts';

/** The page's and Node's ports listen like an `EventTarget`. */
export interface EventTargetPort {
  postMessage(message: unknown): void;
  start?(): void;
  close?(): void;
  addEventListener(type: string, listener: (event: { data?: unknown }) => void): void;
}

/** Electron's ports listen like an `EventEmitter` and wrap the message in an event. */
export interface EmitterPort {
  postMessage(message: unknown): void;
  start?(): void;
  close?(): void;
  on(type: string, listener: (event: { data?: unknown }) => void): unknown;
}

export function messagePortTransport(port: EventTargetPort | EmitterPort): Transport {
  let isClosed = false;
  const transport: Transport = {
    onFrame: null,
    onClose: null,
    send(frame) {
      if (!isClosed) port.postMessage(frame);
    },
    close(reason = 'closed') {
      port.close?.();
      ended(reason);
    },
  };
  const ended = (reason: string): void => {
    if (isClosed) return;
    isClosed = true;
    transport.onClose?.(reason);
  };
  const listen = (type: string, listener: (event: { data?: unknown }) => void): void => {
    if ('addEventListener' in port) port.addEventListener(type, listener);
    else port.on(type, listener);
  };
  listen('message', (event) => {
    if (!isClosed) transport.onFrame?.(event.data);
  });
  listen('close', () => ended('closed'));
  port.start?.();
  return transport;
}
