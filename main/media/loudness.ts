/** How loud a sound is to ears: integrated loudness after ITU-R BS.1770-5, in LUFS. */
import type { Pcm } from './pcm.ts';

/** Of silence, and of sounds too short to be measured. */
export const silentLoudness = -100;
const blockSeconds = 0.4;
const stepsPerBlock = 4;
const absoluteGate = -70;
const relativeGate = -10;

/** Second order: b0, b1, b2, a1, a2. */
type Biquad = readonly [number, number, number, number, number];

/** The standard's two filters, whose tables are for 48 kHz, from their analogue shape at any rate. */
function weighting(sampleRate: number): readonly [Biquad, Biquad] {
  const shelf = ((): Biquad => {
    const k = Math.tan((Math.PI * 1681.974450955533) / sampleRate);
    const q = 0.7071752369554196;
    const high = 10 ** (3.999843853973347 / 20);
    const band = high ** 0.4996667741545416;
    const a0 = 1 + k / q + k * k;
    return [
      (high + (band * k) / q + k * k) / a0,
      (2 * (k * k - high)) / a0,
      (high - (band * k) / q + k * k) / a0,
      (2 * (k * k - 1)) / a0,
      (1 - k / q + k * k) / a0,
    ];
  })();
  const k = Math.tan((Math.PI * 38.13547087602444) / sampleRate);
  const q = 0.5003270373238773;
  const a0 = 1 + k / q + k * k;
  return [shelf, [1, -2, 1, (2 * (k * k - 1)) / a0, (1 - k / q + k * k) / a0]];
}

function filtered(values: ArrayLike<number>, [b0, b1, b2, a1, a2]: Biquad): Float64Array {
  const result = new Float64Array(values.length);
  let first = 0;
  let second = 0;
  for (let at = 0; at < values.length; at += 1) {
    const x = values[at] ?? 0;
    const y = b0 * x + first;
    first = b1 * x - a1 * y + second;
    second = b2 * x - a2 * y;
    result[at] = y;
  }
  return result;
}

const decibels = (power: number): number => -0.691 + 10 * Math.log10(power);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Channels count alike; a sound shorter than a block is taken as one block. */
export function loudnessOf({ channels, sampleRate }: Pcm): number {
  const length = channels[0]?.length ?? 0;
  const block = Math.min(length, Math.round(blockSeconds * sampleRate));
  if (block === 0) return silentLoudness;
  const [shelf, highPass] = weighting(sampleRate);
  const step = Math.max(1, Math.round(block / stepsPerBlock));
  const powers = Array<number>(Math.floor((length - block) / step) + 1).fill(0);
  for (const channel of channels) {
    const values = filtered(filtered(channel, shelf), highPass);
    for (const at of powers.keys()) {
      let sum = 0;
      for (let i = at * step; i < at * step + block; i += 1) sum += (values[i] ?? 0) ** 2;
      powers[at] = (powers[at] ?? 0) + sum / block;
    }
  }
  const loud = powers.filter((power) => power > 0 && decibels(power) > absoluteGate);
  if (loud.length === 0) return silentLoudness;
  const gate = decibels(mean(loud)) + relativeGate;
  return decibels(mean(loud.filter((power) => decibels(power) > gate)));
}
