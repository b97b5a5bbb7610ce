/** In Electron the engine is a utility process, which speaks through `process.parentPort`. */
import { messagePortTransport } from '../../../contract/rpc/message-port.ts';
import type { EmitterPort } from '../../../contract/rpc/message-port.ts';
import type { Transport } from '../../../contract/rpc/transport.ts';

/** Null in plain Node. */
export function parentPortTransport(): Transport | null {
  const { parentPort } = process as { parentPort?: EmitterPort };
  return parentPort === undefined ? null : messagePortTransport(parentPort);
}
