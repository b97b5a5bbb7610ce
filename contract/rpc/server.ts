/** The answering side: checks what arrives, runs handlers, honours cancels and back-pressure. */
import { LutraError, toErrorData } from '../errors.ts';
import type { ContractDefinition, Handlers, MethodDefinition, RequestContext } from './define.ts';
import { describeIssues, maximumCredit, requestFrameSchema } from './frames.ts';
import type { RequestFrame, ResponseFrame } from './frames.ts';
import type { Transport } from './transport.ts';

/** More than this many requests at once on one connection are refused: a runaway page. */
const maximumPending = 1000;

interface Pending {
  readonly abort: AbortController;
  credit: number;
  wake: (() => void) | null;
}

type AnyHandler = (input: unknown, context: RequestContext) => unknown;

/**
 * Answers the requests that arrive on `transport` until it closes.
 * Returns a function that cancels what is running and closes the transport.
 */
export function serve<Contract extends ContractDefinition>(
  contract: Contract,
  handlers: Handlers<Contract>,
  transport: Transport,
  connectionId: string,
): () => void {
  const pending = new Map<number, Pending>();
  const send = (frame: ResponseFrame): void => transport.send(frame);
  const fail = (id: number, thrown: unknown): void => send({ t: 'error', id, error: toErrorData(thrown) });

  const find = (name: string): { method: MethodDefinition; handler: AnyHandler } | null => {
    const [group = '', key = '', ...rest] = name.split('.');
    if (rest.length > 0 || !Object.hasOwn(contract, group)) return null;
    const methods = contract[group];
    if (methods === undefined || !Object.hasOwn(methods, key)) return null;
    const method = methods[key];
    const handler = (handlers as Record<string, Record<string, AnyHandler>>)[group]?.[key];
    return method === undefined || handler === undefined ? null : { method, handler };
  };

  const begin = async (frame: Extract<RequestFrame, { t: 'call' | 'open' }>): Promise<void> => {
    if (pending.has(frame.id)) return;
    if (pending.size >= maximumPending) {
      return fail(frame.id, new LutraError({ code: 'conflict', message: 'Too many requests at once.' }));
    }
    const found = find(frame.method);
    const wanted = frame.t === 'call' ? 'call' : 'stream';
    if (found === null || found.method.kind !== wanted) {
      return fail(
        frame.id,
        new LutraError({
          code: 'unknown-method',
          message: `There is no ${wanted} named "${frame.method}".`,
          hint: 'The page and the studio are of different versions. Reload the page.',
          subject: frame.method,
        }),
      );
    }
    const request: Pending = {
      abort: new AbortController(),
      credit: frame.t === 'open' ? frame.credit : 0,
      wake: null,
    };
    pending.set(frame.id, request);
    try {
      const input = parseInput(frame.method, found.method, frame.input);
      const context: RequestContext = { signal: request.abort.signal, connectionId };
      if (found.method.kind === 'call') {
        const output = await found.handler(input, context);
        if (!request.abort.signal.aborted) send({ t: 'result', id: frame.id, output });
      } else {
        await pump(frame.id, request, found.handler(input, context) as AsyncIterable<unknown>, send);
      }
    } catch (thrown) {
      if (!request.abort.signal.aborted) fail(frame.id, thrown);
    } finally {
      pending.delete(frame.id);
    }
  };

  const cancelAll = (): void => {
    for (const request of pending.values()) cancel(request);
  };

  transport.onFrame = (raw) => {
    const parsed = requestFrameSchema.safeParse(raw);
    if (!parsed.success) return;
    const frame = parsed.data;
    switch (frame.t) {
      case 'call':
      case 'open':
        void begin(frame);
        return;
      case 'cancel': {
        const request = pending.get(frame.id);
        if (request !== undefined) cancel(request);
        return;
      }
      case 'credit': {
        const request = pending.get(frame.id);
        if (request === undefined) return;
        request.credit = Math.min(request.credit + frame.n, maximumCredit);
        request.wake?.();
        return;
      }
    }
  };
  transport.onClose = cancelAll;
  return () => {
    cancelAll();
    transport.close();
  };
}

function cancel(request: Pending): void {
  request.abort.abort();
  request.wake?.();
}

/** Sends events as far as the reader's credit goes; waits for more before it asks the handler again. */
async function pump(
  id: number,
  request: Pending,
  events: AsyncIterable<unknown>,
  send: (frame: ResponseFrame) => void,
): Promise<void> {
  const { signal } = request.abort;
  const iterator = events[Symbol.asyncIterator]();
  const aborted = new Promise<'aborted'>((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
  try {
    while (!signal.aborted) {
      if (request.credit === 0) {
        await new Promise<void>((resolve) => (request.wake = resolve));
        request.wake = null;
        continue;
      }
      const step = await Promise.race([iterator.next(), aborted]);
      if (step === 'aborted') return;
      if (step.done === true) return send({ t: 'end', id });
      request.credit -= 1;
      send({ t: 'event', id, event: step.value });
    }
  } finally {
    // Not awaited: a generator that is waiting for something ends when that something does.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function parseInput(name: string, method: MethodDefinition, input: unknown): unknown {
  const parsed = method.input.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new LutraError({
    code: 'bad-input',
    message: `${name} was asked with a wrong argument. ${describeIssues(parsed.error)}`,
    subject: name,
  });
}
