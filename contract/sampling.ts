/**
 * Which frames of a clip are looked at: the one policy for the page, which decodes clips in its sandbox, and for
 * the command line. Pure arithmetic; all times are seconds from the beginning of the clip.
 */
import { z } from 'zod';

export const samplingSchema = z.discriminatedUnion('kind', [
  /** So many frames, spread evenly over each window. */
  z.object({ kind: z.literal('uniform'), frames: z.number().int().min(1).max(256) }),
  /** One frame every so many seconds. */
  z.object({ kind: z.literal('every'), seconds: z.number().min(0.05).max(3600) }),
  /** Cut where the picture changes; so many frames of each scene. */
  z.object({ kind: z.literal('scenes'), framesPerScene: z.number().int().min(1).max(64) }),
]);
export type Sampling = z.infer<typeof samplingSchema>;
export const defaultSampling: Sampling = { kind: 'uniform', frames: 16 };

/** A part of a clip that gets a caption of its own. */
export interface ClipWindow {
  readonly start: number;
  readonly end: number;
  /** When its frames are taken, ascending, all in [start, end). */
  readonly times: readonly number[];
}

/** A clip is captioned in windows of at most so long, … */
export const longestWindowSeconds = 60;
/** … and of at most so many frames. */
export const mostWindowFrames = 64;
/** A scene shorter than this belongs to the one before it. */
export const shortestSceneSeconds = 0.5;

/** The middles of `count` equal parts, so that neither a fade-in nor the very end is all that is seen. */
function middles(start: number, end: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => start + ((at + 0.5) * (end - start)) / count);
}

function equalParts(start: number, end: number, longest: number): { start: number; end: number }[] {
  const count = Math.max(1, Math.ceil((end - start) / longest - 1e-9));
  const bound = (at: number): number => (at === count ? end : start + ((end - start) * at) / count);
  return Array.from({ length: count }, (_, at) => ({ start: bound(at), end: bound(at + 1) }));
}

/**
 * The windows of a clip of `duration` seconds, and their frames. `cuts` are the times at which a scene begins, as
 * `SceneDetector` tells them; only `scenes` looks at them. A clip without duration has no windows.
 */
export function planWindows(sampling: Sampling, duration: number, cuts: readonly number[] = []): ClipWindow[] {
  if (!(duration > 0) || !Number.isFinite(duration)) return [];
  switch (sampling.kind) {
    case 'uniform':
      return equalParts(0, duration, longestWindowSeconds).map(({ start, end }) => ({
        start,
        end,
        times: middles(start, end, sampling.frames),
      }));
    case 'every': {
      const { seconds } = sampling;
      const perWindow = Math.max(1, Math.min(mostWindowFrames, Math.floor(longestWindowSeconds / seconds + 1e-9)));
      const count = Math.max(1, Math.ceil(duration / seconds - 1e-9));
      const windows: ClipWindow[] = [];
      for (let first = 0; first < count; first += perWindow) {
        const frames = Math.min(perWindow, count - first);
        const times = Array.from({ length: frames }, (_, at) => (first + at) * seconds);
        const isLast = first + frames === count;
        windows.push({ start: first * seconds, end: isLast ? duration : (first + frames) * seconds, times });
      }
      return windows;
    }
    case 'scenes':
      return scenesOf(duration, cuts)
        .flatMap(({ start, end }) => equalParts(start, end, longestWindowSeconds))
        .map(({ start, end }) => ({ start, end, times: middles(start, end, sampling.framesPerScene) }));
  }
}

function scenesOf(duration: number, cuts: readonly number[]): { start: number; end: number }[] {
  const starts = [0];
  for (const cut of cuts.toSorted((a, b) => a - b)) {
    const isApart = cut - (starts.at(-1) ?? 0) >= shortestSceneSeconds && duration - cut >= shortestSceneSeconds;
    if (isApart) starts.push(cut);
  }
  return starts.map((start, at) => ({ start, end: starts[at + 1] ?? duration }));
}

/** Scenes are looked for in frames of this size, so many a second. */
export const sceneFrame = { width: 32, height: 18, perSecond: 4 } as const;

/** Times at which to look for scenes. */
export function sceneTimes(duration: number): number[] {
  if (!(duration > 0) || !Number.isFinite(duration)) return [];
  return Array.from({ length: Math.ceil(duration * sceneFrame.perSecond) }, (_, at) => at / sceneFrame.perSecond);
}

const levels = 4;
const recentDifferences = 12;
/** Share of the picture's colours that must differ at the least, and how far that must stand out from before. */
const leastDifference = 0.3;
const standsOut = 3;

/** Finds cuts in small frames, (height, width, 4) RGBA of `sceneFrame`, given in the order of time. */
export class SceneDetector {
  readonly cuts: number[] = [];
  #previous: { colours: Float64Array; light: Float64Array } | null = null;
  readonly #recent: number[] = [];

  push(seconds: number, rgba: Uint8Array | Uint8ClampedArray): void {
    const now = describe(rgba);
    const before = this.#previous;
    this.#previous = now;
    if (before === null) return;
    // Colours alone miss a cut within one palette; brightness by place alone takes a fast pan for one.
    const difference = (distance(before.colours, now.colours) / 2 + distance(before.light, now.light)) / 2;
    const usual = median(this.#recent);
    this.#recent.push(difference);
    if (this.#recent.length > recentDifferences) this.#recent.shift();
    if (difference < leastDifference || difference < usual * standsOut) return;
    this.cuts.push(seconds);
    // What follows a cut is judged by itself.
    this.#recent.length = 0;
  }
}

/** Shares of `levels`³ colours, and the brightness of each pixel over the number of pixels. */
function describe(rgba: Uint8Array | Uint8ClampedArray): { colours: Float64Array; light: Float64Array } {
  const pixels = rgba.length / 4;
  const colours = new Float64Array(levels ** 3);
  const light = new Float64Array(pixels);
  const level = (value: number): number => Math.floor((value * levels) / 256);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const red = rgba[pixel * 4] ?? 0;
    const green = rgba[pixel * 4 + 1] ?? 0;
    const blue = rgba[pixel * 4 + 2] ?? 0;
    const colour = (level(red) * levels + level(green)) * levels + level(blue);
    colours[colour] = (colours[colour] ?? 0) + 1 / pixels;
    // Rec. 601 luma.
    light[pixel] = (0.299 * red + 0.587 * green + 0.114 * blue) / 255 / pixels;
  }
  return { colours, light };
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += Math.abs((a[at] ?? 0) - (b[at] ?? 0));
  return sum;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
