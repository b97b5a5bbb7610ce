import { createContext, useContext, useEffect, useEffectEvent } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useStore } from 'zustand';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { StudioClient } from '../../contract/index.ts';
import type { LinkState } from './link.ts';
import type { Studio } from './studio.ts';

const StudioContext = createContext<Studio | null>(null);

export function StudioProvider({ studio, children }: { studio: Studio; children: ReactNode }): ReactElement {
  return <StudioContext value={studio}>{children}</StudioContext>;
}

/** The studio: `client` has the methods of the contract. The same object for the life of the page. */
export function useStudio(): Studio {
  const studio = useContext(StudioContext);
  if (studio === null) throw new Error('useStudio needs a StudioProvider above it.');
  return studio;
}

/** Whether main can be reached; renders again when that changes. */
export function useConnection(): LinkState {
  return useStore(useStudio().state);
}

export interface StreamHandlers<Event> {
  onEvent: (event: Event) => void;
  /** The stream ended by itself or failed. A lost connection is not told: the stream opens again by itself. */
  onEnd?: (error: ErrorData | null) => void;
}

/**
 * Reads a stream while the component is mounted, and opens it again after a reconnect.
 * `key` says what is read: another key ends the stream and opens the new one; null reads nothing.
 */
export function useStream<Event>(
  key: string | null,
  open: (client: StudioClient, signal: AbortSignal) => AsyncIterable<Event>,
  handlers: StreamHandlers<Event>,
): void {
  const { client } = useStudio();
  const { epoch } = useConnection();
  const openNow = useEffectEvent(open);
  const onEvent = useEffectEvent(handlers.onEvent);
  const onEnd = useEffectEvent((error: ErrorData | null) => handlers.onEnd?.(error));
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      try {
        for await (const event of openNow(client, abort.signal)) {
          if (abort.signal.aborted) return;
          onEvent(event);
        }
        if (!abort.signal.aborted) onEnd(null);
      } catch (thrown) {
        const error = toErrorData(thrown);
        if (!abort.signal.aborted && error.code !== 'disconnected' && error.code !== 'cancelled') onEnd(error);
      }
    };
    void read();
    return () => abort.abort();
  }, [key, client, epoch]);
}
