import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planWindows, sceneFrame, SceneDetector, sceneTimes, samplingSchema } from '../../../contract/sampling.ts';
import type { Sampling } from '../../../contract/sampling.ts';

const policies = fc.oneof(
  fc.record({ kind: fc.constant('uniform' as const), frames: fc.integer({ min: 1, max: 256 }) }),
  fc.record({ kind: fc.constant('every' as const), seconds: fc.double({ min: 0.05, max: 3600, noNaN: true }) }),
  fc.record({ kind: fc.constant('scenes' as const), framesPerScene: fc.integer({ min: 1, max: 64 }) }),
);

describe('the frames of a clip', () => {
  test('are the middles of equal parts, as the reference processors take them', () => {
    expect(planWindows({ kind: 'uniform', frames: 4 }, 8)).toEqual([{ start: 0, end: 8, times: [1, 3, 5, 7] }]);
  });

  test('are taken every so many seconds, in windows of a minute', () => {
    const windows = planWindows({ kind: 'every', seconds: 10 }, 130);
    expect(windows.map(({ start, end }) => [start, end])).toEqual([
      [0, 60],
      [60, 120],
      [120, 130],
    ]);
    expect(windows.flatMap(({ times }) => times)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]);
  });

  test('follow the scenes; a flash makes none', () => {
    const windows = planWindows({ kind: 'scenes', framesPerScene: 2 }, 10, [4, 4.2, 7, 9.9]);
    expect(windows.map(({ start, end }) => [start, end])).toEqual([
      [0, 4],
      [4, 7],
      [7, 10],
    ]);
    expect(windows[1]?.times).toEqual([4.75, 6.25]);
  });

  test('cover the whole clip in order, whatever is asked for', () => {
    const check = (sampling: Sampling, duration: number, cuts: readonly number[]): void => {
      samplingSchema.parse(sampling);
      const windows = planWindows(sampling, duration, cuts);
      expect(windows[0]?.start).toBe(0);
      expect(windows.at(-1)?.end).toBe(duration);
      windows.forEach(({ start, end, times }, at) => {
        if (at > 0) expect(start).toBe(windows[at - 1]?.end);
        expect(end).toBeGreaterThan(start);
        expect(times.length).toBeGreaterThan(0);
        for (const time of times) expect(time >= start && time < end).toBe(true);
      });
    };
    fc.assert(
      fc.property(
        policies,
        fc.double({ min: 0.04, max: 4000, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 4000, noNaN: true }), { maxLength: 20 }),
        check,
      ),
      { numRuns: 200 },
    );
  });

  test('of a clip without length are none', () => {
    for (const duration of [0, -1, Number.NaN, Infinity]) {
      expect(planWindows({ kind: 'uniform', frames: 4 }, duration)).toEqual([]);
      expect(sceneTimes(duration)).toEqual([]);
    }
  });
});

describe('scenes', () => {
  type Paint = (x: number, y: number) => readonly [number, number, number];
  const frame = (paint: Paint): Uint8Array => {
    const { width, height } = sceneFrame;
    const rgba = new Uint8Array(width * height * 4);
    for (let y = 0; y < height; y += 1)
      for (let x = 0; x < width; x += 1) rgba.set([...paint(x, y), 255], (y * width + x) * 4);
    return rgba;
  };
  const meadow: Paint = (_x, y) => (y < 9 ? [120, 170, 240] : [60, 140, 50]);
  const night: Paint = (x) => (x % 8 === 0 ? [220, 210, 120] : [12, 14, 30]);

  test('begin at a cut and nowhere else', () => {
    const detector = new SceneDetector();
    for (let at = 0; at < 40; at += 1) {
      // A little life in each scene.
      const shift = at % 3;
      const scene = at < 17 || at >= 30 ? meadow : night;
      detector.push(
        at / 4,
        frame((x, y) => scene(x + shift, y)),
      );
    }
    expect(detector.cuts).toEqual([17 / 4, 30 / 4]);
  });

  test('do not begin while something moves across, or the light fades', () => {
    const moving = new SceneDetector();
    const fading = new SceneDetector();
    for (let at = 0; at < 40; at += 1) {
      moving.push(
        at / 4,
        frame((x, y) => (Math.abs(x - at) < 4 ? [200, 40, 40] : meadow(x, y))),
      );
      fading.push(
        at / 4,
        frame((x, y) => meadow(x, y).map((value) => (value * (40 - at)) / 40) as unknown as [number, number, number]),
      );
    }
    expect(moving.cuts).toEqual([]);
    expect(fading.cuts).toEqual([]);
  });
});
