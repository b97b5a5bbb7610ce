/** Sound files: written and read again, with the settings that made them. */
import { chmod, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AudioFormat } from '../../../contract/audio.ts';
import { encodeAudio, readAudio, readSettings } from '../../../main/media/audio-file.ts';
import { writeWhole } from '../../../main/media/whole-file.ts';
import { normalized, peakOf } from '../../../main/media/pcm.ts';
import type { Pcm } from '../../../main/media/pcm.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

const sampleRate = 44_100;
const tags = { title: 'Otter 水獭 \u{1F9A6}', settings: { prompt: 'rain 雨 '.repeat(2000), seed: 4_294_967_295 } };
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

/** Two sines of other pitch and length than a whole second. */
function sound(seconds = 1.37, gain = 0.5): Pcm {
  const length = Math.round(seconds * sampleRate);
  const channels = [0.031, 0.047].map((step) => Float32Array.from({ length }, (_, at) => gain * Math.sin(at * step)));
  return { sampleRate, channels };
}

function worstDifference(a: Pcm, b: Pcm): number {
  let worst = 0;
  a.channels.forEach((channel, which) =>
    channel.forEach((value, at) => (worst = Math.max(worst, Math.abs(value - (b.channels[which]?.[at] ?? 9))))),
  );
  return worst;
}

async function written(name: string, pcm: Pcm, format: AudioFormat): Promise<string> {
  const path = join(folder.path, name);
  await writeWhole(path, await encodeAudio(pcm, format, tags));
  return path;
}

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

describe('WAV', () => {
  test.each([
    [16, 1 / 65_536 + 1e-7],
    [24, 1 / 16_777_216 + 1e-7],
    [32, 0],
  ] as const)('of %i bits gives the samples back', async (bitDepth, most) => {
    const pcm = sound();
    const back = await readAudio(
      await written(`${bitDepth} 水.wav`, pcm, { format: 'wav', bitDepth, normalize: 'off' }),
    );
    expect(back.sampleRate).toBe(sampleRate);
    expect(back.channels.map(({ length }) => length)).toEqual(pcm.channels.map(({ length }) => length));
    expect(worstDifference(pcm, back)).toBeLessThanOrEqual(most * 1.01);
  });

  test('keeps what passes full scale only as floats', async () => {
    const loud = sound(0.1, 1.8);
    const kept = await readAudio(await written('loud32.wav', loud, { format: 'wav', bitDepth: 32, normalize: 'off' }));
    expect(worstDifference(loud, kept)).toBe(0);
    const cut = await readAudio(await written('loud16.wav', loud, { format: 'wav', bitDepth: 16, normalize: 'off' }));
    expect(peakOf(cut)).toBeLessThanOrEqual(1);
    const safe = await readAudio(await written('safe.wav', loud, { format: 'wav', bitDepth: 24, normalize: 'safe' }));
    expect(worstDifference(normalized(loud, 'peak'), safe)).toBeLessThan(1e-6);
  });

  test('is the same file each time', async () => {
    const format = { format: 'wav', bitDepth: 24, normalize: 'safe' } as const;
    expect(await encodeAudio(sound(), format, tags)).toEqual(await encodeAudio(sound(), format, tags));
  });
});

test.each(['wav', 'flac', 'mp3', 'm4a', 'ogg'] as const)('%s carries its settings', async (format) => {
  const path = await written(`tags.${format}`, sound(), { format, bitDepth: 24, normalize: 'safe' });
  expect(await readSettings(path)).toEqual(tags.settings);
  expect((await readFile(path)).length).toBeGreaterThan(10_000);
});

describe('what is no sound', () => {
  const refusal = async (name: string): Promise<string> => {
    const error: unknown = await readAudio(join(folder.path, name)).catch((thrown: unknown) => thrown);
    return error instanceof Error ? error.message : 'nothing was refused';
  };

  test('is refused by name', async () => {
    await writeFile(join(folder.path, 'empty.wav'), '');
    await writeFile(join(folder.path, 'words.wav'), 'RIFF this is not a sound');
    await writeFile(join(folder.path, 'page.html'), '<html></html>');
    expect(await refusal('empty.wav')).toContain('"empty.wav"');
    expect(await refusal('words.wav')).toContain('"words.wav"');
    expect(await refusal('page.html')).toContain('"page.html"');
    expect(await refusal('nowhere.wav')).toContain('"nowhere.wav" cannot be read');
  });

  test('a sound cut in the middle is refused or gives what is there', async () => {
    const path = await written('cut.wav', sound(), { format: 'wav', bitDepth: 16, normalize: 'off' });
    await truncate(path, 30);
    expect(await refusal('cut.wav')).toContain('"cut.wav"');
  });

  test('samples that are no numbers are refused', async () => {
    const pcm = sound(0.1);
    pcm.channels[0]?.fill(Number.NaN, 100, 200);
    await written('nan.wav', pcm, { format: 'wav', bitDepth: 32, normalize: 'off' });
    expect(await refusal('nan.wav')).toContain('no numbers');
  });

  test('a compressed sound says what to do', async () => {
    await written('small.mp3', sound(), { format: 'mp3', bitDepth: 16, normalize: 'safe' });
    vi.stubEnv('PATH', folder.path);
    expect(await refusal('small.mp3')).toContain('MP3, which needs ffmpeg');
    vi.unstubAllEnvs();
  });

  test('nothing to write is refused', async () => {
    const nothing = { sampleRate, channels: [new Float32Array(), new Float32Array()] };
    await expect(encodeAudio(nothing, { format: 'wav', bitDepth: 16, normalize: 'off' }, tags)).rejects.toThrow(
      'no sound',
    );
  });
});

test('a folder that cannot be written to keeps nothing half', async () => {
  const place = join(folder.path, 'closed');
  await mkdir(place);
  await chmod(place, 0o555);
  const target = join(place, 'gone', 'x.wav');
  await expect(writeWhole(target, new Uint8Array(10))).rejects.toThrow('"x.wav" cannot be written');
  expect(await readdir(place)).toEqual([]);
  await chmod(place, 0o755);
});
