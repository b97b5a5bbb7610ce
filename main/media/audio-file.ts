/** Audio files, written and read in plain Node: WAV, FLAC, MP3, AAC and Opus, with the settings that made them as tags. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename } from 'node:path';
import { registerAacEncoder } from '@mediabunny/aac-encoder';
import { registerFlacEncoder } from '@mediabunny/flac-encoder';
import { registerMp3Encoder } from '@mediabunny/mp3-encoder';
import {
  ALL_FORMATS,
  AudioSample,
  AudioSampleSink,
  AudioSampleSource,
  BufferTarget,
  FilePathSource,
  FlacOutputFormat,
  Input,
  Mp3OutputFormat,
  Mp4OutputFormat,
  OggOutputFormat,
  Output,
  WavOutputFormat,
} from 'mediabunny';
import type { AudioCodec, InputAudioTrack, OutputFormat } from 'mediabunny';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import { settingsMark } from '../../contract/audio.ts';
import type { AudioFormat } from '../../contract/audio.ts';
import { runFfmpeg } from './ffmpeg.ts';
import { opusSampleRate, registerOpusEncoder } from './opus.ts';
import { normalized } from './pcm.ts';
import type { Pcm } from './pcm.ts';

export interface AudioTags {
  readonly title: string;
  /** As JSON: what made the sound. */
  readonly settings: unknown;
}

const lossyBitrate = 192_000;
let hasEncoders = false;

function registerEncoders(): void {
  if (hasEncoders) return;
  registerAacEncoder();
  registerFlacEncoder();
  registerMp3Encoder();
  registerOpusEncoder();
  hasEncoders = true;
}

function formatOf({ format, bitDepth }: AudioFormat): { container: OutputFormat; codec: AudioCodec } {
  switch (format) {
    case 'wav':
      return {
        container: new WavOutputFormat(),
        codec: bitDepth === 16 ? 'pcm-s16' : bitDepth === 24 ? 'pcm-s24' : 'pcm-f32',
      };
    case 'flac':
      return { container: new FlacOutputFormat(), codec: 'flac' };
    case 'mp3':
      return { container: new Mp3OutputFormat(), codec: 'mp3' };
    case 'm4a':
      return { container: new Mp4OutputFormat(), codec: 'aac' };
    case 'ogg':
      return { container: new OggOutputFormat(), codec: 'opus' };
  }
}

/** WAV's own tags know Latin letters only. */
const ascii = (text: string): string =>
  text.replaceAll(/[^\u0020-\u007e]/gu, (letter) =>
    [...Array(letter.length).keys()].map((at) => `\\u${letter.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );

/** A whole file in memory. Fails with `bad-input` for a sound without samples. */
export async function encodeAudio(pcm: Pcm, format: AudioFormat, tags: AudioTags): Promise<Uint8Array<ArrayBuffer>> {
  registerEncoders();
  const length = pcm.channels[0]?.length ?? 0;
  if (length === 0) throw new LutraError({ code: 'bad-input', message: 'There is no sound to write.' });
  const level = normalized(pcm, format.normalize);
  const { container, codec } = formatOf(format);
  const target = new BufferTarget();
  const output = new Output({ format: container, target });
  const source = new AudioSampleSource({
    codec,
    bitrate: lossyBitrate,
    ...(codec === 'opus' ? { transform: { sampleRate: opusSampleRate } } : {}),
  });
  output.addAudioTrack(source);
  const comment = settingsMark + ascii(JSON.stringify(tags.settings));
  output.setMetadataTags({
    title: format.format === 'wav' ? tags.title.replaceAll(/[^\u0020-\u00ff]/gu, '?') : tags.title,
    comment,
  });
  await output.start();
  const clips = codec !== 'pcm-f32';
  const pieceLength = pcm.sampleRate;
  for (let first = 0; first < length; first += pieceLength) {
    const count = Math.min(pieceLength, length - first);
    const data = new Float32Array(count * level.channels.length);
    level.channels.forEach((channel, at) => {
      const part = channel.subarray(first, first + count);
      data.set(clips ? part.map((value) => Math.max(-1, Math.min(1, value))) : part, at * count);
    });
    const sample = new AudioSample({
      data,
      format: 'f32-planar',
      numberOfChannels: level.channels.length,
      sampleRate: pcm.sampleRate,
      timestamp: first / pcm.sampleRate,
    });
    await source.add(sample);
    sample.close();
  }
  await output.finalize();
  if (target.buffer === null) throw new LutraError({ code: 'internal', message: 'The encoder gave nothing.' });
  return new Uint8Array(target.buffer);
}

const longestSeconds = 3600;
const lowestRate = 1000;
const highestRate = 768_000;

/**
 * Reads a WAV file, and with the system's ffmpeg compressed ones. Fails with `bad-file`, `not-supported` (compressed
 * sounds where there is no ffmpeg) or `file-access`; the message names the file.
 */
export async function readAudio(path: string): Promise<Pcm> {
  const name = basename(path);
  const bad = (what: string, hint = 'Choose another file.'): LutraError =>
    new LutraError({ code: 'bad-file', message: `"${name}": ${what}.`, hint, subject: path });
  await access(path, constants.R_OK).catch((thrown: unknown) => {
    const { hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError({ code: 'file-access', message: `"${name}" cannot be read.`, hint, subject: path });
  });
  const input = new Input({ source: new FilePathSource(path), formats: ALL_FORMATS });
  try {
    const track = await input.getPrimaryAudioTrack().catch(() => undefined);
    if (track === undefined) throw bad('it is no audio file, or a damaged one');
    if (track === null) throw bad('there is no sound in it');
    if (track.sampleRate < lowestRate || track.sampleRate > highestRate)
      throw bad(`its sample rate of ${track.sampleRate} Hz is not between 1 and 768 kHz`);
    const seconds = await track.computeDuration();
    if (seconds > longestSeconds) throw bad('it is longer than an hour', 'Cut out the part that you need.');
    const channels = (await track.canDecode()) ? await decoded(track) : await decodedByFfmpeg(path, track);
    if ((channels[0]?.length ?? 0) === 0) throw bad('there is no sound in it');
    if (channels.some((channel) => channel.some((value) => !Number.isFinite(value))))
      throw bad('it holds samples that are no numbers');
    return { sampleRate: track.sampleRate, channels };
  } catch (thrown) {
    if (thrown instanceof LutraError) throw thrown;
    const { code } = toErrorData(thrown);
    if (code === 'file-access') throw thrown;
    throw bad('it is cut or damaged');
  } finally {
    input.dispose();
  }
}

async function decoded(track: InputAudioTrack): Promise<Float32Array<ArrayBuffer>[]> {
  const pieces: Float32Array[][] = Array.from({ length: track.numberOfChannels }, () => []);
  for await (const sample of new AudioSampleSink(track).samples()) {
    for (const [planeIndex, list] of pieces.entries()) {
      const values = new Float32Array(sample.numberOfFrames);
      sample.copyTo(values, { planeIndex, format: 'f32-planar' });
      list.push(values);
    }
    sample.close();
  }
  return pieces.map(joined);
}

async function decodedByFfmpeg(path: string, track: InputAudioTrack): Promise<Float32Array<ArrayBuffer>[]> {
  const { numberOfChannels: count, sampleRate } = track;
  const format = ['-map', '0:a:0', '-f', 'f32le', '-ac', String(count), '-ar', String(sampleRate)];
  const mostBytes = (longestSeconds + 1) * sampleRate * count * Float32Array.BYTES_PER_ELEMENT;
  const bytes = await runFfmpeg(['-i', `file:${path}`, ...format, 'pipe:1'], { mostBytes }).catch((thrown: unknown) => {
    const error = toErrorData(thrown);
    const kind = track.codec?.toUpperCase() ?? 'this kind of sound';
    const hint = `${error.hint ?? ''} Or save it as WAV.`.trim();
    const message = `"${basename(path)}" is ${kind}, which needs ffmpeg: ${error.message}`;
    throw new LutraError({ ...error, message, hint, subject: path }, { cause: thrown });
  });
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  return Array.from({ length: count }, (_, channel) =>
    Float32Array.from({ length: Math.floor(values.length / count) }, (_value, at) => values[at * count + channel] ?? 0),
  );
}

function joined(pieces: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** What `encodeAudio` wrote; null where the file carries nothing of ours. */
export async function readSettings(path: string): Promise<unknown> {
  const input = new Input({ source: new FilePathSource(path), formats: ALL_FORMATS });
  try {
    const { comment = '' } = await input.getMetadataTags();
    const at = comment.indexOf(settingsMark);
    return at < 0 ? null : (JSON.parse(comment.slice(at + settingsMark.length)) as unknown);
  } catch {
    return null;
  } finally {
    input.dispose();
  }
}
