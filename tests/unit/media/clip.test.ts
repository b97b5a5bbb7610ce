/** Clips through the system's ffmpeg. Where there is none, only the words about that are tested. */
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClipFrame } from '../../../contract/caption.ts';
import { clipFacts, clipFrames, evenRuns, frameSize } from '../../../main/media/clip.ts';
import { temporaryFolder } from '../../fixtures/host.ts';
import { canRun } from '../../fixtures/programs.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (name: string): string => join(folder.path, name);

const hasFfmpeg = canRun('ffmpeg') && canRun('ffprobe');
const make = (...args: string[]): void =>
  void execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args], { stdio: 'pipe' });

beforeAll(async () => {
  folder = await temporaryFolder();
  if (!hasFfmpeg) return;
  // Two seconds of red, then two of green, then two of blue.
  const colours = ['red', 'lime', 'blue'].flatMap((colour) => [
    '-f',
    'lavfi',
    '-i',
    `color=${colour}:s=64x36:r=10:d=2`,
  ]);
  const join3 = '[0:v][1:v][2:v]concat=n=3:v=1:a=0';
  make(...colours, '-filter_complex', join3, '-c:v', 'mpeg4', '-q:v', '2', '-g', '100', at('three.mp4'));
  const halves = 'drawbox=x=32:y=0:w=32:h=36:color=blue:t=fill';
  make(
    '-f',
    'lavfi',
    '-i',
    'color=red:s=64x36:r=10:d=1',
    '-vf',
    halves,
    '-c:v',
    'mpeg4',
    '-q:v',
    '2',
    at('halves.mp4'),
  );
  await writeFile(at('turned.mp4'), turned(await readFile(at('halves.mp4'))));
  // One frame each second at first, then none for four: the last is shown for long.
  make(
    '-i',
    at('three.mp4'),
    '-vf',
    "select='eq(n,0)+eq(n,20)+eq(n,59)',setpts=N*N*2/TB",
    '-vsync',
    'vfr',
    '-c:v',
    'mpeg4',
    '-q:v',
    '2',
    at('uneven.mkv'),
  );
  make('-f', 'lavfi', '-i', 'sine=d=1', '-c:a', 'aac', at('sound.mp4'));
});
afterAll(() => folder.remove());

/** As a telephone held upright writes it: the track's matrix turns the picture by a quarter. */
function turned(mp4: Buffer): Buffer {
  const matrix = mp4.indexOf('tkhd') + 4 + 40;
  [0, 0x10000, 0, -0x10000, 0, 0, 36 * 0x10000, 0, 0x40000000].forEach((value, n) =>
    mp4.writeInt32BE(value, matrix + n * 4),
  );
  return mp4;
}

async function coloursAt(name: string, times: readonly number[]): Promise<string[]> {
  const colours: string[] = [];
  for await (const frame of clipFrames(at(name), times, { width: 8, height: 8, encoding: 'rgb' }))
    colours.push(nameOf(frame));
  return colours;
}

function nameOf({ bytes }: ClipFrame): string {
  const [red = 0, green = 0, blue = 0] = bytes;
  if (red > 150 && green < 100) return 'red';
  if (green > 150 && blue < 100) return 'green';
  return blue > 150 && red < 100 ? 'blue' : `${red} ${green} ${blue}`;
}

test('times are asked for in even runs', () => {
  expect(evenRuns([0.5, 1.5, 2.5, 7, 8])).toEqual([
    { start: 0.5, step: 1, count: 3 },
    { start: 7, step: 1, count: 2 },
  ]);
  expect(evenRuns([3])).toEqual([{ start: 3, step: 1, count: 1 }]);
  expect(evenRuns([])).toEqual([]);
});

test('frames keep their shape', () => {
  expect(frameSize({ width: 1920, height: 1080 }, 640)).toEqual({ width: 640, height: 360, encoding: 'rgb' });
  expect(frameSize({ width: 30, height: 20 }, 640)).toMatchObject({ width: 30, height: 20 });
});

test('without ffmpeg the message says how to get it', async () => {
  await writeFile(at('x.mp4'), 'x');
  await expect(clipFacts(at('x.mp4'), { ffprobe: at('nowhere') })).rejects.toMatchObject({
    code: 'not-supported',
    message: expect.stringContaining('"x.mp4"'),
    hint: expect.stringContaining('apt install ffmpeg'),
  });
});

test('a clip that is gone', async () => {
  await expect(clipFacts(at('gone.mp4'))).rejects.toMatchObject({ code: 'file-access', subject: at('gone.mp4') });
});

describe.skipIf(!hasFfmpeg)('with ffmpeg', () => {
  test('says how long and how large a clip is, and what it is encoded with', async () => {
    expect(await clipFacts(at('three.mp4'))).toEqual({ seconds: 6, width: 64, height: 36, codec: 'mpeg4' });
  });

  test('gives the frame that is shown at a time, near the beginning, in the middle and at the very end', async () => {
    expect(await coloursAt('three.mp4', [0, 1.9, 2.1, 3.9, 4.1, 5.99])).toEqual([
      'red',
      'red',
      'green',
      'green',
      'blue',
      'blue',
    ]);
    expect(await coloursAt('three.mp4', [1, 3, 5])).toEqual(['red', 'green', 'blue']);
  });

  test('of a clip with uneven frames, the one that is shown, not the next', async () => {
    // Frames at 0, 2 and 8 seconds.
    expect(await coloursAt('uneven.mkv', [0.5, 1.5, 2.5, 7.5])).toEqual(['red', 'red', 'green', 'green']);
    expect(await coloursAt('uneven.mkv', [7.4])).toEqual(['green']);
  });

  test('a clip that is turned is seen upright', async () => {
    expect(await clipFacts(at('turned.mp4'))).toMatchObject({ width: 36, height: 64 });
    for await (const { bytes } of clipFrames(at('turned.mp4'), [0.5], { width: 4, height: 8, encoding: 'rgb' })) {
      expect(bytes[0]).toBeGreaterThan(150);
      expect(bytes.at(-1)).toBeGreaterThan(150);
    }
  });

  test.each([
    ['empty.mp4', Buffer.alloc(0), 'cannot be decoded'],
    ['text.mp4', Buffer.from('Dear diary'), 'cannot be decoded'],
    [
      'list.mp4',
      Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n'),
      'cannot be decoded',
    ],
  ])('%s is refused by name', async (name, bytes, words) => {
    await writeFile(at(name), bytes);
    await expect(clipFacts(at(name))).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringMatching(new RegExp(`"${name}" ${words}`)),
    });
  });

  test('a sound with a clip’s name', async () => {
    await expect(clipFacts(at('sound.mp4'))).rejects.toMatchObject({ message: '"sound.mp4" holds no moving picture.' });
  });
});
