import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LutraError } from '../../../contract/errors.ts';
import { connect } from '../../../contract/rpc/client.ts';
import type { Client } from '../../../contract/rpc/define.ts';
import { serve } from '../../../contract/rpc/server.ts';
import { probeContract, probeHandlers } from '../../fixtures/rpc-contract.ts';
import type { ProbeState } from '../../fixtures/rpc-contract.ts';
import { transportKinds } from '../../fixtures/transports.ts';
import type { TransportPair } from '../../fixtures/transports.ts';

const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 400 && !condition(); tries += 1) await new Promise((done) => setTimeout(done, 5));
  expect(condition()).toBe(true);
};
const errorOf = async (promise: Promise<unknown>): Promise<LutraError> =>
  promise.then(
    () => expect.unreachable('it should have failed'),
    (error: LutraError) => error,
  );
const collect = async (events: AsyncIterable<number>): Promise<number[]> => {
  const all: number[] = [];
  for await (const event of events) all.push(event);
  return all;
};

describe.each(Object.entries(transportKinds))('over a %s', (_name, open) => {
  let pair: TransportPair;
  let probe: Client<typeof probeContract>['probe'];
  let closed: Promise<string>;
  let state: ProbeState;
  let stop: () => void;

  beforeEach(async () => {
    pair = await open();
    state = { produced: 0, callsCancelled: 0, streamsEnded: 0 };
    stop = serve(probeContract, probeHandlers(state), pair.far, 'test');
    const connection = connect(probeContract, pair.near);
    probe = connection.client.probe;
    closed = connection.closed;
  });
  afterEach(async () => {
    stop();
    await pair.dispose();
  });

  test('many calls at once each get their own answer', async () => {
    const sums = await Promise.all(Array.from({ length: 200 }, (_, n) => probe.add({ a: n, b: 1 })));
    expect(sums).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  });

  test('events arrive in order and complete', async () => {
    expect(await collect(probe.count({ to: 1000 }))).toEqual(Array.from({ length: 1000 }, (_, n) => n));
  });

  test('a slow reader is never sent more than it allowed', async () => {
    const events = probe.count({ to: 1_000_000 })[Symbol.asyncIterator]();
    await events.next();
    await new Promise((done) => setTimeout(done, 100));
    expect(state.produced).toBeLessThanOrEqual(64);
    await events.return?.();
    await until(() => state.streamsEnded === 1);
  });

  test('a reader that stops ends the stream at the other side', async () => {
    for await (const n of probe.count({ to: 1_000_000 })) if (n === 40) break;
    await until(() => state.streamsEnded === 1);
  });

  test('cancelling a call by its signal reaches the handler', async () => {
    const abort = new AbortController();
    const error = errorOf(probe.waitForever({}, { signal: abort.signal }));
    setTimeout(() => abort.abort(), 20);
    expect((await error).code).toBe('cancelled');
    await until(() => state.callsCancelled === 1);
  });

  test('cancelling a silent stream by its signal reaches the handler', async () => {
    const abort = new AbortController();
    const error = errorOf(collect(probe.silence({}, { signal: abort.signal })));
    setTimeout(() => abort.abort(), 20);
    expect((await error).code).toBe('cancelled');
    await until(() => state.streamsEnded === 1);
  });

  test('an error keeps its code, message, hint and subject', async () => {
    const error = await errorOf(probe.fail({}));
    expect(error.toData()).toEqual({
      code: 'conflict',
      message: 'It is busy.',
      hint: 'Wait a little.',
      subject: 'thing',
    });
  });

  test('an unforeseen error becomes data without a stack', async () => {
    expect((await errorOf(probe.crash({}))).toData()).toEqual({ code: 'internal', message: 'a fault of ours' });
  });

  test('a stream that fails gives the events before the error', async () => {
    const seen: number[] = [];
    const error = await errorOf(
      (async () => {
        for await (const n of probe.failAfter({ events: 3 })) seen.push(n);
      })(),
    );
    expect([seen, error.code]).toEqual([[0, 1, 2], 'disk-full']);
  });

  test('64 MB of bytes come back whole', async () => {
    const bytes = new Uint8Array(64 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 4099) bytes[at] = at % 251;
    const answer = await probe.echo({ bytes, note: 'ü – 水獭 $bytes' });
    expect(answer.note).toBe('ü – 水獭 $bytes');
    expect(Buffer.compare(answer.bytes, bytes)).toBe(0);
  });

  test('a vanished other end fails calls and streams with "disconnected"', async () => {
    const call = errorOf(probe.waitForever({}));
    const stream = errorOf(collect(probe.silence({})));
    await probe.add({ a: 1, b: 1 });
    pair.sever();
    expect([(await call).code, (await stream).code]).toEqual(['disconnected', 'disconnected']);
    await closed;
    expect((await errorOf(probe.add({ a: 1, b: 1 }))).code).toBe('disconnected');
    await until(() => state.callsCancelled === 1 && state.streamsEnded === 1);
  });

  test('an unknown method is refused by name', async () => {
    const other = { probe: { ...probeContract.probe, missing: probeContract.probe.add } } as const;
    const { client } = connect(other, pair.near);
    const error = await errorOf(client.probe.missing({ a: 1, b: 2 }));
    expect([error.code, error.subject]).toEqual(['unknown-method', 'probe.missing']);
  });

  test('names of inherited properties are not methods', async () => {
    const other = { constructor: { call: probeContract.probe.add } } as const;
    const { client } = connect(other, pair.near);
    expect((await errorOf(client.constructor.call({ a: 1, b: 2 }))).code).toBe('unknown-method');
  });

  test('a wrong argument is refused with the name of its field', async () => {
    const error = await errorOf(probe.add({ a: 1, b: 'two' as unknown as number }));
    expect(error.code).toBe('bad-input');
    expect(error.message).toMatch(/\bb: /);
  });

  test('an answer of the wrong form does not reach the caller', async () => {
    expect((await errorOf(probe.wrongAnswer({}))).code).toBe('internal');
  });

  test('nonsense frames are ignored and the connection goes on', async () => {
    for (const nonsense of [null, 7, 'x', [], {}, { t: 'call' }, { t: 'credit', id: 9, n: -1 }]) {
      pair.near.send(nonsense);
      pair.far.send(nonsense);
    }
    expect(await probe.add({ a: 2, b: 3 })).toBe(5);
  });
});
