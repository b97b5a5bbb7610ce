/** Opus files, which only a browser has an encoder for: made here from the kept samples. */
import { AudioBufferSource, BufferTarget, OggOutputFormat, Output } from 'mediabunny';
import { settingsMark } from '../../contract/audio.ts';
import type { AudioTake } from '../../contract/audio.ts';

/** Opus knows no other rate above 24 kHz. */
const sampleRate = 48_000;
const bitrate = 160_000;

/** `wav` holds the samples at their final level; the settings go along as a comment, as in the other formats. */
export async function encodeOpus(wav: Uint8Array, take: AudioTake): Promise<Uint8Array> {
  const decoder = new OfflineAudioContext(take.channels, 1, sampleRate);
  const sound = await decoder.decodeAudioData(Uint8Array.from(wav).buffer);
  const target = new BufferTarget();
  const output = new Output({ format: new OggOutputFormat(), target });
  const source = new AudioBufferSource({ codec: 'opus', bitrate });
  output.addAudioTrack(source);
  const settings = { settings: take.settings, model: take.modelName };
  output.setMetadataTags({ title: take.name, comment: settingsMark + JSON.stringify(settings) });
  await output.start();
  await source.add(sound);
  await output.finalize();
  return new Uint8Array(target.buffer ?? new ArrayBuffer());
}
