/** Sound as plain samples, and what is done to it on its way in and out. */

export interface Pcm {
  readonly sampleRate: number;
  /** One array per channel, all of one length; 1 is full scale, and may be passed. */
  readonly channels: readonly Float32Array<ArrayBuffer>[];
}

export type Normalization = 'off' | 'peak' | 'safe';

export function secondsOf({ channels, sampleRate }: Pcm): number {
  return (channels[0]?.length ?? 0) / sampleRate;
}

export function peakOf({ channels }: Pcm): number {
  let peak = 0;
  for (const channel of channels) for (const value of channel) peak = Math.max(peak, Math.abs(value));
  return peak;
}

/** `peak`: the loudest sample becomes full scale; `safe`: the same, but never louder than it was. */
export function normalized(pcm: Pcm, how: Normalization): Pcm {
  const peak = peakOf(pcm);
  if (how === 'off' || peak === 0 || (how === 'safe' && peak <= 1)) return pcm;
  return { ...pcm, channels: pcm.channels.map((channel) => channel.map((value) => value / peak)) };
}

/** Seconds `start` to `end`, as far as there is sound. */
export function cutOut(pcm: Pcm, start: number, end: number): Pcm {
  const first = Math.round(start * pcm.sampleRate);
  const last = Math.max(first, Math.round(end * pcm.sampleRate));
  return { ...pcm, channels: pcm.channels.map((channel) => channel.slice(first, last)) };
}

/** Mono is doubled; of more channels than asked for, the odd and the even ones are mixed to the two sides. */
export function withChannels(pcm: Pcm, count: number): Pcm {
  const had = pcm.channels.length;
  if (had === count) return pcm;
  const length = pcm.channels[0]?.length ?? 0;
  const channels = Array.from({ length: count }, (_, target) => {
    const sources = pcm.channels.filter((_source, at) => had < count || at % count === target);
    const used = sources.length > 0 && had > count ? sources : [pcm.channels[target % had] ?? new Float32Array(length)];
    const mixed = new Float32Array(length);
    for (const source of used)
      for (let at = 0; at < length; at += 1) mixed[at] = (mixed[at] ?? 0) + (source[at] ?? 0) / used.length;
    return mixed;
  });
  return { ...pcm, channels };
}

/** Zero crossings of the filter on each side: 80 dB and more of what would fold back is gone. */
const filterCrossings = 32;
const kaiserBeta = 9;

/** Another rate, by a Kaiser-windowed sinc (Smith, "Digital Audio Resampling", 2002). */
export function resampled(pcm: Pcm, sampleRate: number): Pcm {
  if (pcm.sampleRate === sampleRate) return pcm;
  const ratio = sampleRate / pcm.sampleRate;
  const cutoff = Math.min(1, ratio);
  const reach = filterCrossings / cutoff;
  const kernel = tabulated();
  const channels = pcm.channels.map((source) => {
    const target = new Float32Array(Math.round(source.length * ratio));
    for (let at = 0; at < target.length; at += 1) {
      const center = at / ratio;
      const first = Math.max(0, Math.ceil(center - reach));
      const last = Math.min(source.length - 1, Math.floor(center + reach));
      let sum = 0;
      for (let i = first; i <= last; i += 1) sum += (source[i] ?? 0) * kernel(Math.abs(center - i) * cutoff);
      target[at] = sum * cutoff;
    }
    return target;
  });
  return { sampleRate, channels };
}

/** The filter by its distance in crossings, read off a fine table. */
function tabulated(): (distance: number) => number {
  const finest = 512;
  const table = Float64Array.from({ length: filterCrossings * finest + 2 }, (_, at) => {
    const x = at / finest;
    const part = x / filterCrossings;
    const window = part >= 1 ? 0 : bessel(kaiserBeta * Math.sqrt(1 - part * part)) / bessel(kaiserBeta);
    return (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)) * window;
  });
  return (distance) => {
    const place = distance * finest;
    const at = Math.floor(place);
    const low = table[at] ?? 0;
    return low + ((table[at + 1] ?? 0) - low) * (place - at);
  };
}

/** The modified Bessel function of order 0. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 60 && term > sum * 1e-16; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Lowest and highest sample of each part, over all channels, -127 to 127: (parts, 2). */
export function peaksOf({ channels }: Pcm, parts: number): Int8Array<ArrayBuffer> {
  const length = channels[0]?.length ?? 0;
  const peaks = new Int8Array(parts * 2);
  const scale = 127;
  for (let part = 0; part < parts; part += 1) {
    let low = 0;
    let high = 0;
    const end = Math.floor(((part + 1) * length) / parts);
    for (const channel of channels) {
      for (let at = Math.floor((part * length) / parts); at < end; at += 1) {
        const value = channel[at] ?? 0;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    peaks[2 * part] = Math.round(Math.max(-1, low) * scale);
    peaks[2 * part + 1] = Math.round(Math.min(1, high) * scale);
  }
  return peaks;
}
