/** Keeps the store true: main's events, the filtered list of ids, and the windows of items that come into view. */
import { useEffect, useRef } from 'react';
import type { CaptionItem } from '../../contract/caption.ts';
import { toErrorData } from '../../contract/errors.ts';
import { useConnection, useStream, useStudio } from '../client/context.tsx';
import type { StudioClient } from '../client/studio.ts';
import { dismissToast, showError } from '../ui/toast.tsx';
import { ClipDecoder } from './clips/serve.ts';
import { keepSelection } from './selection.ts';
import { followBatch, isInTheMaking, useCaptions, withItems } from './store.ts';
import { removedToast } from './use-actions.ts';

/** Items are asked for in windows of so many. */
const windowSize = 100;
/** Many changes in a row are read again at most so often. */
const reloadMs = 250;
/** While a batch runs, a filtered list is read again at most so often. */
const filteredReloadMs = 1500;

function outdate(): void {
  useCaptions.setState(({ generation }) => ({ generation: generation + 1 }));
}

/** Mounted with the window, not with the panel: clips are decoded here whatever is looked at. */
export function CaptionFeed(): null {
  const { client } = useStudio();
  const decoder = useRef<ClipDecoder | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    decoder.current = new ClipDecoder(client);
    return () => {
      decoder.current?.dispose();
      clearTimeout(timer.current);
    };
  }, [client]);
  const outdateSoon = (afterMs: number): void => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      outdate();
    }, afterMs);
  };
  useStream(
    'captions',
    (open, signal) => open.caption.watch({ canDecodeClips: 'VideoDecoder' in window }, { signal }),
    {
      onEvent: (event) => {
        switch (event.type) {
          case 'summary': {
            const { counts, batch, undo, redo } = event.summary;
            // Its Undo would take back something else by now.
            if (useCaptions.getState().undo?.step === 'remove' && undo?.step !== 'remove') dismissToast(removedToast);
            const isAnother = batch !== null && batch.jobId !== useCaptions.getState().batch?.jobId;
            useCaptions.setState({ counts, batch, undo, redo, ...(isAnother ? { latestIds: [] } : {}) });
            followBatch();
            return;
          }
          case 'items': {
            useCaptions.setState((state) => withItems(state, event.items));
            const { filter } = useCaptions.getState();
            if (filter.state !== 'all' || filter.search !== '') outdateSoon(filteredReloadMs);
            return;
          }
          case 'changed':
            return outdateSoon(reloadMs);
          case 'writing':
            // Told late, of one that is over by now.
            if (!isInTheMaking(useCaptions.getState(), event.itemId)) return;
            useCaptions.setState(({ writing }) => ({
              writing: new Map(writing).set(event.itemId, { segment: event.segment, text: event.text }),
            }));
            return;
          case 'wanted':
            return decoder.current?.take(event.request);
          case 'unwanted':
            return decoder.current?.drop(event.requestId);
        }
      },
      onEnd: (error) => {
        if (error !== null) showError(error);
      },
    },
  );
  return null;
}

/** Reads the ids again when the filter or the list changed. For the panel. */
export function useFollowedIds(): void {
  const { client } = useStudio();
  const { epoch } = useConnection();
  const filter = useCaptions((state) => state.filter);
  const generation = useCaptions((state) => state.generation);
  useEffect(() => {
    const abort = new AbortController();
    client.caption.ids({ filter }, { signal: abort.signal }).then(
      ({ ids }) => useCaptions.setState((state) => ({ ids, status: 'ready', ...keepSelection(state, state.ids, ids) })),
      (thrown: unknown) => {
        if (!abort.signal.aborted && toErrorData(thrown).code !== 'disconnected') showError(thrown);
      },
    );
    return () => abort.abort();
  }, [client, epoch, filter, generation]);
}

/** Loads the items at positions `from` to `to` of the list, unless they were loaded since it last changed. */
export function useWindow(from: number, to: number): void {
  const { client } = useStudio();
  const generation = useCaptions((state) => state.generation);
  const ids = useCaptions((state) => state.ids);
  const asked = useRef({ ids, generation, windows: new Set<number>() });
  useEffect(() => {
    if (asked.current.ids !== ids || asked.current.generation !== generation)
      asked.current = { ids, generation, windows: new Set() };
    const { windows } = asked.current;
    for (let at = Math.floor(from / windowSize); at <= Math.floor(to / windowSize); at += 1) {
      if (windows.has(at) || at * windowSize >= ids.length) continue;
      windows.add(at);
      loadWindow(client, at).catch((thrown: unknown) => {
        windows.delete(at);
        if (toErrorData(thrown).code !== 'disconnected') showError(thrown);
      });
    }
  }, [client, from, to, ids, generation]);
}

async function loadWindow(client: StudioClient, at: number): Promise<void> {
  const { filter } = useCaptions.getState();
  const { items } = await client.caption.list({ filter, offset: at * windowSize, limit: windowSize });
  useCaptions.setState((state) => ({ items: merged(state.items, items) }));
}

/** Main's events may have overtaken the list: the newer of two stays. */
function merged(known: ReadonlyMap<string, CaptionItem>, items: readonly CaptionItem[]): Map<string, CaptionItem> {
  const all = new Map(known);
  for (const item of items) {
    const there = all.get(item.id);
    if (there === undefined || there.updatedAt <= item.updatedAt) all.set(item.id, item);
  }
  return all;
}
