/** A transport over the channel between a Node process and its child (`serialization: 'advanced'`). */
import type { ChildProcess } from 'node:child_process';
import type { Transport } from '../../contract/rpc/transport.ts';

/** `ChildProcess` on one side, `process` on the other. */
export type ChannelEnd = Pick<ChildProcess, 'connected'> & {
  send?: ((message: unknown, callback: (error: Error | null) => void) => boolean) | undefined;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
  disconnect?: (() => void) | undefined;
};

export function processTransport(end: ChannelEnd): Transport {
  let isClosed = false;
  const ended = (reason: string): void => {
    if (isClosed) return;
    isClosed = true;
    transport.onClose?.(reason);
  };
  const transport: Transport = {
    onFrame: null,
    onClose: null,
    send(frame) {
      if (isClosed || !end.connected) return;
      end.send?.(frame, (error) => {
        if (error !== null) ended(error.message);
      });
    },
    close(reason = 'closed') {
      if (end.connected) end.disconnect?.();
      ended(reason);
    },
  };
  end.on('message', (frame) => {
    if (!isClosed) transport.onFrame?.(frame);
  });
  end.on('disconnect', () => ended('disconnected'));
  return transport;
}
