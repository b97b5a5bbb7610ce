/** Work that tells how far it is, as an async iterable for a stream: the newest word at a time, then the result. */
const intervalMs = 100;

export type Followed<Progress, Result> =
  | { readonly progress: Progress; readonly result: null }
  | { readonly progress: null; readonly result: Result };

/** `stop` is called when `signal` fires, or when nobody reads any more; the work is then waited for. */
export async function* followed<Progress, Result>(
  begin: (tell: (progress: Progress) => void) => Promise<Result>,
  stop: () => void,
  signal: AbortSignal,
): AsyncGenerator<Followed<Progress, Result>, void, undefined> {
  const state: { newest: { readonly value: Progress } | null; isOver: boolean } = { newest: null, isOver: false };
  if (signal.aborted) return;
  signal.addEventListener('abort', stop, { once: true });
  const work = begin((value) => (state.newest = { value }));
  const settled = work.then(
    () => (state.isOver = true),
    () => (state.isOver = true),
  );
  try {
    while (!state.isOver) {
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, intervalMs))]);
      const told = state.newest;
      state.newest = null;
      if (told !== null) yield { progress: told.value, result: null };
    }
    yield { progress: null, result: await work };
  } finally {
    signal.removeEventListener('abort', stop);
    if (!state.isOver) stop();
    await settled;
  }
}
