/** One lasting line to main: it connects, and connects again when the connection ends. */
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import { LutraError } from '../../contract/errors.ts';
import { contract } from '../../contract/index.ts';
import type { StudioClient } from '../../contract/index.ts';
import { connect } from '../../contract/rpc/client.ts';
import type { Connection } from '../../contract/rpc/client.ts';
import type { RequestOptions } from '../../contract/rpc/define.ts';
import type { Transport } from '../../contract/rpc/transport.ts';

export interface LinkState {
  /** `connecting`: never connected yet. `reconnecting`: it was there and is sought again. */
  readonly phase: 'connecting' | 'online' | 'reconnecting';
  /** Grows with each connection made: streams opened under an older one are over. */
  readonly epoch: number;
}

export interface Link {
  /** Asks over the present connection. Before the first one calls wait; between two they fail with `disconnected`. */
  readonly client: StudioClient;
  readonly state: StoreApi<LinkState>;
  close(): void;
}

const firstRetryMs = 250;
const longestRetryMs = 5000;

/** Retries wait longer each time, up to five seconds. */
export function retryDelayMs(attempt: number): number {
  return Math.min(longestRetryMs, firstRetryMs * 2 ** attempt);
}

/** `dial` opens a transport or throws; it is asked again after each end. */
export function openLink(dial: () => Promise<Transport>): Link {
  const state = createStore<LinkState>(() => ({ phase: 'connecting', epoch: 0 }));
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  let connection: Connection<typeof contract> | null = null;
  let isOver = false;
  let wakeRetry: (() => void) | null = null;

  const present = (): StudioClient => {
    if (connection !== null) return connection.client;
    throw new LutraError({
      code: 'disconnected',
      message: 'Lutra is not connected at the moment.',
      hint: 'It reconnects by itself. Try again in a moment.',
    });
  };
  const pause = (attempt: number): Promise<void> =>
    new Promise((resolve) => {
      wakeRetry = resolve;
      setTimeout(resolve, retryDelayMs(attempt));
    });
  const run = async (): Promise<void> => {
    let attempt = 0;
    for (;;) {
      if (isOver) return;
      try {
        connection = connect(contract, await dial());
      } catch {
        await pause(attempt);
        attempt += 1;
        continue;
      }
      if (isOver) return connection.close();
      attempt = 0;
      state.setState(({ epoch }) => ({ phase: 'online', epoch: epoch + 1 }));
      first.resolve();
      await connection.closed;
      connection = null;
      if (!isOver) state.setState({ phase: 'reconnecting' });
    }
  };
  void run();
  const retryNow = (): void => wakeRetry?.();
  globalThis.addEventListener?.('online', retryNow);

  return {
    client: lastingClient(first.promise, present),
    state,
    close() {
      isOver = true;
      globalThis.removeEventListener?.('online', retryNow);
      first.reject(new LutraError({ code: 'disconnected', message: 'The connection was closed.' }));
      wakeRetry?.();
      connection?.close();
    },
  };
}

type AnyMethod = (input: unknown, options?: RequestOptions) => unknown;

/** Has the methods of the contract; each asks whatever connection there is when it is called. */
function lastingClient(ready: Promise<void>, present: () => StudioClient): StudioClient {
  const method = (group: string, name: string): AnyMethod =>
    (present() as unknown as Record<string, Record<string, AnyMethod>>)[group]![name]!;
  const client: Record<string, Record<string, AnyMethod>> = {};
  for (const [group, methods] of Object.entries(contract)) {
    client[group] = {};
    for (const [name, definition] of Object.entries(methods)) {
      client[group][name] =
        definition.kind === 'call'
          ? async (input, options) => {
              await ready;
              return method(group, name)(input, options);
            }
          : async function* (input, options) {
              await ready;
              yield* method(group, name)(input, options) as AsyncIterable<unknown>;
            };
    }
  }
  return client as unknown as StudioClient;
}
