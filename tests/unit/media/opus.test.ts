/** Opus files: what a decoder makes of them, and how long they are. */
import { createRequire } from 'node:module';
import { ALL_FORMATS, BufferSource, EncodedPacketSink, Input } from 'mediabunny';
import { expect, test } from 'vitest';
import { encodeAudio } from '../../../main/media/audio-file.ts';
import { resampled } from '../../../main/media/pcm.ts';
import type { Pcm } from '../../../main/media/pcm.ts';

interface Libopus {
  readonly Decoder: new (options: { channels: number; sample_rate: number }) => {
    decode(bytes: Uint8Array): Uint8Array;
  };
}
const { Decoder } = createRequire(import.meta.url)('@evan/opus/wasm/index.js') as Libopus;

/** Tones that come and go, with a silent side. */
function sound(sampleRate: number, seconds: number, channels: number): Pcm {
  const length = Math.round(seconds * sampleRate);
  const wave = (channel: number) => (_: unknown, at: number) => {
    const t = at / sampleRate;
    return 0.4 * Math.sin(2 * Math.PI * (channel === 0 ? 440 : 660) * t) * Math.sin(Math.PI * 3 * t) ** 2;
  };
  return { sampleRate, channels: Array.from({ length: channels }, (_, at) => Float32Array.from({ length }, wave(at))) };
}

test.each([
  [44_100, 1.37, 2],
  [48_000, 0.02, 2],
  [44_100, 0.011, 1],
  [22_050, 2.5, 1],
])('%i Hz, %f s, %i channels', async (sampleRate, seconds, channels) => {
  const pcm = sound(sampleRate, seconds, channels);
  const file = await encodeAudio(pcm, { format: 'ogg', bitDepth: 16, normalize: 'off' }, { title: 'x', settings: {} });
  const input = new Input({ source: new BufferSource(file), formats: ALL_FORMATS });
  const track = await input.getPrimaryAudioTrack();
  if (track === null) throw new Error('no track');
  expect(await track.computeDuration()).toBeCloseTo(seconds, 3);
  const head = new DataView(
    Uint8Array.from(new Uint8Array((await track.getDecoderConfig())?.description as ArrayBuffer)).buffer,
  );
  const skipped = head.getUint16(10, true);
  const decoder = new Decoder({ channels, sample_rate: 48_000 });
  const values: number[] = [];
  for await (const packet of new EncodedPacketSink(track).packets())
    values.push(...new Int16Array(Uint8Array.from(decoder.decode(packet.data)).buffer));
  input.dispose();
  const expected = resampled(pcm, 48_000).channels;
  let power = 0;
  let error = 0;
  for (const [which, channel] of expected.entries()) {
    for (const [at, value] of channel.entries()) {
      power += value ** 2;
      error += (value - (values[(at + skipped) * channels + which] ?? 0) / 32_768) ** 2;
    }
  }
  if (seconds > 1) expect(10 * Math.log10(power / error)).toBeGreaterThan(15);
});
