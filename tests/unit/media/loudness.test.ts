/** Loudness against the signals of EBU Tech 3341, whose answers are known. */
import { expect, test } from 'vitest';
import { loudnessOf, silentLoudness } from '../../../main/media/loudness.ts';
import type { Pcm } from '../../../main/media/pcm.ts';

/** A stereo tone of 1 kHz: so many seconds at each level (dBFS of its peak). */
function tone(sampleRate: number, levels: readonly (readonly [decibels: number, seconds: number])[]): Pcm {
  const values = levels.flatMap(([decibels, seconds]) =>
    Array.from(
      { length: Math.round(seconds * sampleRate) },
      (_, at) => 10 ** (decibels / 20) * Math.sin((2 * Math.PI * 1000 * at) / sampleRate),
    ),
  );
  return { sampleRate, channels: [Float32Array.from(values), Float32Array.from(values)] };
}

test.each([48_000, 44_100, 96_000])('tones at %i Hz', (sampleRate) => {
  expect(loudnessOf(tone(sampleRate, [[-23, 5]]))).toBeCloseTo(-23, 1);
  expect(loudnessOf(tone(sampleRate, [[-33, 5]]))).toBeCloseTo(-33, 1);
});

test('quiet stretches are gated out', () => {
  const stretches = [
    [-36, 2],
    [-23, 12],
    [-36, 2],
  ] as const;
  expect(Math.abs(loudnessOf(tone(48_000, stretches)) + 23)).toBeLessThan(0.1);
});

test('silence and nothing have a floor; a blink is measured whole', () => {
  const silence = { sampleRate: 48_000, channels: [new Float32Array(48_000)] };
  expect(loudnessOf(silence)).toBe(silentLoudness);
  expect(loudnessOf({ sampleRate: 48_000, channels: [new Float32Array()] })).toBe(silentLoudness);
  expect(loudnessOf(tone(48_000, [[-23, 0.1]]))).toBeGreaterThan(-26);
});
