/** What is done to samples on their way in and out. */
import { describe, expect, test } from 'vitest';
import { cutOut, normalized, peakOf, peaksOf, resampled, secondsOf, withChannels } from '../../../main/media/pcm.ts';
import type { Pcm } from '../../../main/media/pcm.ts';

const mono = (sampleRate: number, length: number, value: (at: number) => number): Pcm => ({
  sampleRate,
  channels: [Float32Array.from({ length }, (_, at) => value(at))],
});

describe('another rate', () => {
  test.each([
    [48_000, 44_100],
    [22_050, 44_100],
    [44_100, 48_000],
    [8000, 44_100],
    [96_000, 44_100],
  ])('%i to %i Hz keeps a tone to 60 dB', (from, to) => {
    const hertz = 997;
    const tone = (rate: number) => (at: number) => 0.5 * Math.sin((2 * Math.PI * hertz * at) / rate);
    const result = resampled(mono(from, from, tone(from)), to);
    expect(secondsOf(result)).toBeCloseTo(1, 4);
    const expected = tone(to);
    let error = 0;
    let power = 0;
    const [values = new Float32Array()] = result.channels;
    for (let at = 4000; at < values.length - 4000; at += 1) {
      error += ((values[at] ?? 0) - expected(at)) ** 2;
      power += expected(at) ** 2;
    }
    expect(10 * Math.log10(power / error)).toBeGreaterThan(60);
  });

  test('what the lower rate cannot hold is gone, not folded back', () => {
    const high = mono(48_000, 48_000, (at) => Math.sin((2 * Math.PI * 15_000 * at) / 48_000));
    expect(peakOf(cutOut(resampled(high, 16_000), 0.2, 0.8))).toBeLessThan(0.002);
  });

  test('the same rate is the same sound', () => {
    const pcm = mono(44_100, 100, (at) => at / 100);
    expect(resampled(pcm, 44_100)).toBe(pcm);
  });
});

test('mono becomes two alike, eight become two mixed', () => {
  const one = withChannels(
    mono(44_100, 3, (at) => at),
    2,
  );
  expect(one.channels.map((channel) => [...channel])).toEqual([
    [0, 1, 2],
    [0, 1, 2],
  ]);
  const eight = { sampleRate: 44_100, channels: Array.from({ length: 8 }, (_, at) => Float32Array.of(at)) };
  expect(withChannels(eight, 2).channels.map(([value]) => value)).toEqual([3, 4]);
});

test('levels: as loud as can be, or only ever quieter', () => {
  const quiet = mono(44_100, 2, (at) => at * 0.5);
  expect(peakOf(normalized(quiet, 'peak'))).toBe(1);
  expect(normalized(quiet, 'safe')).toBe(quiet);
  const loud = mono(44_100, 2, (at) => at * 4);
  expect(peakOf(normalized(loud, 'safe'))).toBe(1);
  expect(normalized(loud, 'off')).toBe(loud);
  const silence = mono(44_100, 10, () => 0);
  expect(normalized(silence, 'peak')).toBe(silence);
});

test('a waveform has the lowest and the highest sample of each part', () => {
  expect([
    ...peaksOf(
      mono(10, 4, (at) => [0.5, -1, 2, 0][at] ?? 0),
      2,
    ),
  ]).toEqual([-127, 64, 0, 127]);
  expect(
    peaksOf(
      mono(10, 0, () => 0),
      5,
    ),
  ).toHaveLength(10);
});
