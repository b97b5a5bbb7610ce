/** Opus for mediabunny where there is no WebCodecs: libopus as WebAssembly. */
import { createRequire } from 'node:module';
import { CustomAudioEncoder, EncodedPacket, registerEncoder } from 'mediabunny';
import type { AudioCodec, AudioSample } from 'mediabunny';

/** The only rate above 24 kHz that Opus knows. */
export const opusSampleRate = 48_000;
const frameSamples = 960;

/** Of the package's WebAssembly build, which brings no types: libopus by its own request numbers. */
interface Libopus {
  readonly Encoder: new (options: { channels: number; sample_rate: number; application: 'audio' }) => {
    ctl(request: number, value?: number): number;
    encode(pcm: Int16Array): Uint8Array;
    drop(): void;
  };
}
const setBitrate = 4002;
const getLookahead = 4027;

class OpusEncoder extends CustomAudioEncoder {
  #encoder: InstanceType<Libopus['Encoder']> | null = null;
  #waiting = new Int16Array(0);
  #lookahead = 0;
  /** In samples; what the encoder looks ahead is played before the sound and skipped by the player. */
  #taken = 0;
  #written = 0;

  static override supports(codec: AudioCodec, { numberOfChannels, sampleRate }: AudioEncoderConfig): boolean {
    return codec === 'opus' && numberOfChannels <= 2 && sampleRate === opusSampleRate;
  }

  init(): void {
    const { Encoder } = createRequire(import.meta.url)('@evan/opus/wasm/index.js') as Libopus;
    const { numberOfChannels: channels, bitrate } = this.config;
    this.#encoder = new Encoder({ channels, sample_rate: opusSampleRate, application: 'audio' });
    if (bitrate !== undefined) this.#encoder.ctl(setBitrate, bitrate);
    this.#lookahead = this.#encoder.ctl(getLookahead);
  }

  encode(sample: AudioSample): void {
    const { numberOfChannels: channels } = this.config;
    const added = new Int16Array(sample.numberOfFrames * channels);
    sample.copyTo(added, { planeIndex: 0, format: 's16' });
    this.#taken += sample.numberOfFrames;
    this.#waiting = joined(this.#waiting, added);
    const whole = frameSamples * channels;
    let at = 0;
    for (; at + whole <= this.#waiting.length; at += whole)
      this.#write(this.#waiting.subarray(at, at + whole), frameSamples);
    this.#waiting = this.#waiting.slice(at);
  }

  flush(): void {
    const whole = frameSamples * this.config.numberOfChannels;
    const end = this.#taken + this.#lookahead;
    while (this.#written < end) {
      const frame = new Int16Array(whole);
      frame.set(this.#waiting.subarray(0, whole));
      this.#waiting = this.#waiting.slice(whole);
      this.#write(frame, Math.min(frameSamples, end - this.#written));
    }
  }

  close(): void {
    this.#encoder?.drop();
    this.#encoder = null;
  }

  #write(frame: Int16Array, samples: number): void {
    if (this.#encoder === null) return;
    // A copy: the encoder reads from where the view's memory begins to where it ends.
    const bytes = this.#encoder.encode(frame.slice());
    const timestamp = this.#written / opusSampleRate;
    this.onPacket(
      new EncodedPacket(Uint8Array.from(bytes), 'key', timestamp, samples / opusSampleRate),
      this.#written === 0 ? { decoderConfig: this.#decoderConfig() } : undefined,
    );
    this.#written += samples;
  }

  /** With the header that Ogg wants (RFC 7845, section 5.1). */
  #decoderConfig(): AudioDecoderConfig {
    const { numberOfChannels } = this.config;
    const head = new DataView(new ArrayBuffer(19));
    new TextEncoder().encodeInto('OpusHead', new Uint8Array(head.buffer));
    head.setUint8(8, 1);
    head.setUint8(9, numberOfChannels);
    head.setUint16(10, this.#lookahead, true);
    head.setUint32(12, opusSampleRate, true);
    return { codec: 'opus', numberOfChannels, sampleRate: opusSampleRate, description: head.buffer };
  }
}

function joined(first: Int16Array<ArrayBuffer>, second: Int16Array<ArrayBuffer>): Int16Array<ArrayBuffer> {
  const both = new Int16Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

export function registerOpusEncoder(): void {
  registerEncoder(OpusEncoder);
}
