/** Pictures as main makes them, kept as blob addresses: asked for a few at a time, the newest wish first. */
import { useEffect, useState } from 'react';
import { useConnection, useStudio } from '../client/context.tsx';
import type { StudioClient } from '../client/studio.ts';

/** `missing`: there is none to be had, such as of a clip that nothing here decodes. */
export type Picture = { readonly address: string } | 'loading' | 'missing';

const keptPictures = 800;
const atOnce = 6;

interface Wish {
  readonly key: string;
  readonly fetch: (signal: AbortSignal) => Promise<{ bytes: Uint8Array; type: string } | null>;
  readonly abort: AbortController;
  wishers: number;
  readonly done: Promise<string | null>;
  readonly settle: (address: string | null) => void;
}

/** Least recently used first. An address that is shown stays: the map only drops what lies far behind. */
const addresses = new Map<string, string>();
const wishes = new Map<string, Wish>();
const waiting: Wish[] = [];
let running = 0;

function remember(key: string, address: string): void {
  addresses.delete(key);
  addresses.set(key, address);
  for (const [oldest, old] of addresses) {
    if (addresses.size <= keptPictures) return;
    addresses.delete(oldest);
    URL.revokeObjectURL(old);
  }
}

function pump(): void {
  while (running < atOnce) {
    // What was scrolled to last is what is looked at.
    const wish = waiting.pop();
    if (wish === undefined) return;
    running += 1;
    void carryOut(wish);
  }
}

async function carryOut(wish: Wish): Promise<void> {
  try {
    const picture = await wish.fetch(wish.abort.signal);
    const address =
      picture === null ? null : URL.createObjectURL(new Blob([Uint8Array.from(picture.bytes)], { type: picture.type }));
    if (address !== null) remember(wish.key, address);
    wish.settle(address);
  } catch {
    // Aborted, or the file is gone: its own error is told where its caption is.
    wish.settle(null);
  } finally {
    wishes.delete(wish.key);
    running -= 1;
    pump();
  }
}

function wishFor(key: string, fetch: Wish['fetch']): Wish {
  const known = wishes.get(key);
  if (known !== undefined) return known;
  let settle: Wish['settle'] = () => undefined;
  const done = new Promise<string | null>((resolve) => (settle = resolve));
  const wish: Wish = { key, fetch, abort: new AbortController(), wishers: 0, done, settle };
  wishes.set(key, wish);
  waiting.push(wish);
  return wish;
}

function giveUp(wish: Wish): void {
  wish.wishers -= 1;
  if (wish.wishers > 0) return;
  const at = waiting.indexOf(wish);
  if (at < 0) return wish.abort.abort();
  waiting.splice(at, 1);
  wishes.delete(wish.key);
  wish.settle(null);
}

/** A tile that is only scrolled past asks for nothing. */
const restingMs = 60;

/** The item's picture, no side longer than `side`; of a clip the frame at `seconds`, null for one that stands for it. */
export function usePicture(itemId: string | null, side: number, seconds: number | null = null): Picture {
  const { client } = useStudio();
  const { epoch } = useConnection();
  const key = itemId === null ? null : `${itemId} ${side} ${seconds ?? ''}`;
  const [settled, setSettled] = useState<{ key: string; address: string | null } | null>(null);
  useEffect(() => {
    if (key === null || itemId === null) return;
    const known = addresses.get(key);
    if (known !== undefined) {
      remember(key, known);
      return;
    }
    const held: { wish: Wish | null } = { wish: null };
    const timer = setTimeout(() => {
      const wish = wishFor(key, fetcher(client, itemId, side, seconds));
      held.wish = wish;
      wish.wishers += 1;
      pump();
      void wish.done.then((address) => {
        if (held.wish === wish) setSettled({ key, address });
      });
    }, restingMs);
    return () => {
      clearTimeout(timer);
      if (held.wish !== null) giveUp(held.wish);
      held.wish = null;
    };
  }, [client, epoch, key, itemId, side, seconds]);
  if (key === null) return 'missing';
  const address = addresses.get(key) ?? (settled?.key === key ? settled.address : undefined);
  return address === undefined ? 'loading' : address === null ? 'missing' : { address };
}

function fetcher(client: StudioClient, itemId: string, side: number, seconds: number | null): Wish['fetch'] {
  return (signal) => client.caption.picture({ itemId, side, seconds }, { signal });
}
