import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../contract/rpc/codec.ts';

const jsonWithBytes = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, -1.5, 'ü', '水獭'),
    fc.string(),
    fc.uint8Array({ maxLength: 64 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '$bytes' && key !== '__proto__'),
      tie('value'),
      {
        maxKeys: 4,
        noNullPrototype: true,
      },
    ),
  ),
})).value;

describe('the WebSocket codec', () => {
  test('gives back every frame, with or without bytes', () => {
    fc.assert(
      fc.property(jsonWithBytes, (frame) => {
        const message = encodeFrame(frame);
        expect(decodeFrame(message)).toEqual(frame);
      }),
    );
  });

  test('a frame without bytes is plain text', () => {
    expect(encodeFrame({ t: 'end', id: 4 })).toBe('{"t":"end","id":4}');
  });

  test('a Node Buffer travels as bytes, not as its own JSON form', () => {
    const decoded = decodeFrame(encodeFrame({ bytes: Buffer.from([1, 2, 3]) }));
    expect(decoded).toEqual({ bytes: new Uint8Array([1, 2, 3]) });
  });

  test('random bytes are refused or read, but never hang or crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          decodeFrame(noise);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a damaged message is refused', () => {
    const whole = encodeFrame({ bytes: new Uint8Array(40) }) as Uint8Array;
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeFrame(whole.slice(0, length))).toThrow();
    }
  });

  test('a blob that is not there is refused', () => {
    const header = new TextEncoder().encode('{"frame":{"$bytes":3},"lengths":[]}');
    const message = new Uint8Array(4 + header.length);
    new DataView(message.buffer).setUint32(0, header.length, true);
    message.set(header, 4);
    expect(() => decodeFrame(message)).toThrow(/blob/);
  });

  test('a frame nested beyond reason is refused', () => {
    const deep = `${'['.repeat(500)}{"$bytes":0}${']'.repeat(500)}`;
    const header = new TextEncoder().encode(`{"frame":${deep},"lengths":[0]}`);
    const message = new Uint8Array(4 + header.length);
    new DataView(message.buffer).setUint32(0, header.length, true);
    message.set(header, 4);
    expect(() => decodeFrame(message)).toThrow(/deep/);
  });
});
