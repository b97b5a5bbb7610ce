/** Decodes clips off the page's main path. Bytes are asked for as they are needed; frames go back as they come. */
import { toErrorData } from '../../../contract/errors.ts';
import { Clip } from './decode.ts';
import type { FromWorker, ToWorker } from './messages.ts';

const scope = globalThis as unknown as {
  addEventListener: (type: 'message', listener: (event: MessageEvent<ToWorker>) => void) => void;
  postMessage: (message: FromWorker, transfer?: Transferable[]) => void;
};
const reads = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();
const dropped = new Set<string>();
let lastRead = 0;

scope.addEventListener('message', ({ data }) => {
  switch (data.type) {
    case 'decode':
      return void decode(data);
    case 'bytes':
      reads.get(data.readId)?.resolve(data.bytes);
      return void reads.delete(data.readId);
    case 'unreadable':
      reads.get(data.readId)?.reject(new Error(data.message));
      return void reads.delete(data.readId);
    case 'drop':
      return void dropped.add(data.requestId);
  }
});

async function decode({ request, sizeBytes }: Extract<ToWorker, { type: 'decode' }>): Promise<void> {
  const { requestId, name, want } = request;
  const read = (start: number, end: number): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      lastRead += 1;
      reads.set(lastRead, { resolve, reject });
      scope.postMessage({ type: 'read', requestId, readId: lastRead, start, end });
    });
  const clip = new Clip({ name, sizeBytes, read });
  try {
    if (want.type === 'facts') {
      scope.postMessage({ type: 'facts', requestId, facts: await clip.facts() });
      return;
    }
    const size =
      want.type === 'small' ? { width: want.width, height: want.height } : await clip.sizeWithin(want.maxSide);
    for await (const frames of clip.frames(want.seconds, size)) {
      if (dropped.has(requestId)) return;
      const transfer = frames.map(({ bytes }) => bytes.buffer);
      scope.postMessage({ type: 'frames', requestId, frames, isLast: false }, transfer);
    }
    scope.postMessage({ type: 'frames', requestId, frames: [], isLast: true });
  } catch (thrown) {
    scope.postMessage({ type: 'failed', requestId, error: toErrorData(thrown) });
  } finally {
    dropped.delete(requestId);
    clip.dispose();
  }
}
