/** The asking side: one typed function per method of the contract. */
import type { z } from 'zod';
import { LutraError } from '../errors.ts';
import type { Client, ContractDefinition, MethodDefinition, RequestOptions } from './define.ts';
import { describeIssues, responseFrameSchema } from './frames.ts';
import type { RequestFrame, ResponseFrame } from './frames.ts';
import type { Transport } from './transport.ts';

/** Events that a stream may send ahead of its reader. Half of it used up, as much is granted again. */
const streamWindow = 32;

export interface Connection<Contract extends ContractDefinition> {
  readonly client: Client<Contract>;
  /** Resolves with the reason when the connection has ended. Every open request fails with `disconnected`. */
  readonly closed: Promise<string>;
  close(): void;
}

type Listener = (frame: ResponseFrame) => void;

/** Speaks `contract` over `transport`. */
export function connect<Contract extends ContractDefinition>(
  contract: Contract,
  transport: Transport,
): Connection<Contract> {
  const listeners = new Map<number, Listener>();
  let nextId = 1;
  let isClosed = false;
  const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<string>();
  const disconnected = (id: number): ResponseFrame => ({
    t: 'error',
    id,
    error: { code: 'disconnected', message: 'The connection ended before the answer came.' },
  });

  transport.onFrame = (raw) => {
    const parsed = responseFrameSchema.safeParse(raw);
    if (parsed.success) listeners.get(parsed.data.id)?.(parsed.data);
  };
  transport.onClose = (reason) => {
    isClosed = true;
    for (const [id, listener] of listeners) listener(disconnected(id));
    resolveClosed(reason);
  };

  const link: Link = {
    open(listener) {
      const id = nextId++;
      listeners.set(id, listener);
      if (isClosed) queueMicrotask(() => listeners.get(id)?.(disconnected(id)));
      return id;
    },
    send: (frame) => transport.send(frame),
    forget: (id) => void listeners.delete(id),
  };

  const client: Record<string, Record<string, unknown>> = {};
  for (const [group, methods] of Object.entries(contract)) {
    const functions: Record<string, unknown> = {};
    for (const [key, method] of Object.entries(methods)) {
      const name = `${group}.${key}`;
      functions[key] = (input: unknown, options?: RequestOptions) =>
        method.kind === 'call'
          ? callMethod(link, name, method.output, input, options?.signal)
          : openStream(link, name, method, input, options?.signal);
    }
    client[group] = functions;
  }
  return { client: client as Client<Contract>, closed, close: () => transport.close() };
}

interface Link {
  open(listener: Listener): number;
  send(frame: RequestFrame): void;
  forget(id: number): void;
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function cancelled(): LutraError {
  return new LutraError({ code: 'cancelled', message: 'Cancelled.' });
}

function callMethod(
  link: Link,
  name: string,
  output: z.ZodType,
  input: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  if (isAborted(signal)) return Promise.reject(cancelled());
  const id = link.open((frame) => {
    finish();
    if (frame.t === 'result') settle(() => resolve(parseAnswer(name, output, frame.output)));
    else if (frame.t === 'error') reject(new LutraError(frame.error));
  });
  const settle = (action: () => void): void => {
    try {
      action();
    } catch (thrown) {
      reject(thrown);
    }
  };
  const onAbort = (): void => {
    finish();
    link.send({ t: 'cancel', id });
    reject(cancelled());
  };
  const finish = (): void => {
    link.forget(id);
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  settle(() => link.send({ t: 'call', id, method: name, input }));
  return promise;
}

/** Opens when first read from; ends the stream at the other side when the reader stops. */
function openStream(
  link: Link,
  name: string,
  method: Extract<MethodDefinition, { kind: 'stream' }>,
  input: unknown,
  signal: AbortSignal | undefined,
): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]: () => readStream(link, name, method.event, input, signal),
  };
}

async function* readStream(
  link: Link,
  name: string,
  eventSchema: z.ZodType,
  input: unknown,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown, void, undefined> {
  if (isAborted(signal)) throw cancelled();
  const arrived: ResponseFrame[] = [];
  let wake: (() => void) | null = null;
  let isOver = false;
  const id = link.open((frame) => {
    arrived.push(frame);
    wake?.();
  });
  const onAbort = (): void => wake?.();
  signal?.addEventListener('abort', onAbort, { once: true });
  link.send({ t: 'open', id, method: name, input, credit: streamWindow });
  let read = 0;
  try {
    for (;;) {
      if (isAborted(signal)) throw cancelled();
      const frame = arrived.shift();
      if (frame === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
        wake = null;
        continue;
      }
      if (frame.t === 'event') {
        yield parseAnswer(name, eventSchema, frame.event);
        read += 1;
        if (read % (streamWindow / 2) === 0) link.send({ t: 'credit', id, n: streamWindow / 2 });
      } else {
        isOver = true;
        if (frame.t === 'error') throw new LutraError(frame.error);
        return;
      }
    }
  } finally {
    link.forget(id);
    signal?.removeEventListener('abort', onAbort);
    if (!isOver) link.send({ t: 'cancel', id });
  }
}

function parseAnswer(name: string, schema: z.ZodType, answer: unknown): unknown {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new LutraError({
    code: 'internal',
    message: `${name} gave an answer of the wrong form. ${describeIssues(parsed.error)}`,
    subject: name,
  });
}
