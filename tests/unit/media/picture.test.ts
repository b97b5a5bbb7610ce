import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync, crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LutraError } from '../../../contract/errors.ts';
import { readPicture, shrunkPicture } from '../../../main/media/picture.ts';
import type { Pixels } from '../../../main/media/picture.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (name: string): string => join(folder.path, name);
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

/** Left half red, right half blue; 40 x 20. */
const halves = (): ReturnType<typeof sharp> => {
  const rgb = Buffer.from(
    Array.from({ length: 20 * 40 }, (_, pixel) => (pixel % 40 < 20 ? [220, 20, 30] : [20, 30, 220])).flat(),
  );
  return sharp(rgb, { raw: { width: 40, height: 20, channels: 3 } });
};
type Rgb = readonly [number, number, number];
const pixel = ({ rgb, width }: { rgb: Uint8Array; width: number }, x: number, y: number): Rgb => {
  const first = (y * width + x) * 3;
  return [rgb[first] ?? -1, rgb[first + 1] ?? -1, rgb[first + 2] ?? -1];
};
function close(found: Rgb, wanted: Rgb, by: number): void {
  for (const channel of [0, 1, 2] as const) expect(Math.abs(found[channel] - wanted[channel])).toBeLessThanOrEqual(by);
}

describe('every kind of picture becomes upright sRGB', () => {
  test.each([
    ['png', (): Promise<Buffer> => halves().png().toBuffer(), 0],
    ['jpg', (): Promise<Buffer> => halves().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(), 8],
    ['webp', (): Promise<Buffer> => halves().webp({ lossless: true }).toBuffer(), 0],
    ['gif', (): Promise<Buffer> => halves().gif().toBuffer(), 4],
    ['avif', (): Promise<Buffer> => halves().avif({ lossless: true }).toBuffer(), 8],
    ['tiff', (): Promise<Buffer> => halves().tiff({ compression: 'lzw' }).toBuffer(), 0],
  ])('%s', async (ending, encode, by) => {
    await writeFile(at(`x.${ending}`), await encode());
    const picture = await readPicture(at(`x.${ending}`));
    expect([picture.width, picture.height, picture.rgb.length]).toEqual([40, 20, 2400]);
    close(pixel(picture, 4, 10), [220, 20, 30], by);
    close(pixel(picture, 35, 10), [20, 30, 220], by);
  });

  test('a camera’s rotation is honoured', async () => {
    await writeFile(at('x.jpg'), await halves().withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer());
    const picture = await readPicture(at('x.jpg'));
    expect([picture.width, picture.height]).toEqual([20, 40]);
    close(pixel(picture, 10, 4), [220, 20, 30], 8);
    close(pixel(picture, 10, 35), [20, 30, 220], 8);
    expect(await shrunkPicture(at('x.jpg'), 10)).toMatchObject({ width: 20, height: 40 });
  });

  test('what is transparent lies on white', async () => {
    const clear = sharp({ create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } } });
    await writeFile(at('x.png'), await clear.png().toBuffer());
    close(pixel(await readPicture(at('x.png')), 1, 1), [128, 128, 128], 1);
  });

  test('grey, 16 bits and CMYK', async () => {
    await writeFile(at('grey.png'), await halves().greyscale().png().toBuffer());
    expect((await readPicture(at('grey.png'))).rgb).toHaveLength(2400);
    await writeFile(at('deep.png'), await halves().toColourspace('rgb16').png().toBuffer());
    close(pixel(await readPicture(at('deep.png')), 4, 10), [220, 20, 30], 2);
    await writeFile(at('print.jpg'), await halves().toColourspace('cmyk').jpeg({ quality: 98 }).toBuffer());
    const print = await readPicture(at('print.jpg'));
    expect(print.rgb).toHaveLength(2400);
    const [red, green] = pixel(print, 4, 10);
    expect(red).toBeGreaterThan(green + 80);
  });

  test('of an animation the first frame', async () => {
    const two = Buffer.concat([Buffer.alloc(8 * 8 * 3, 250), Buffer.alloc(8 * 8 * 3, 5)]);
    const moving = await sharp(two, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .gif({ delay: [10, 10] })
      .toBuffer();
    await writeFile(at('x.gif'), moving);
    const picture = await readPicture(at('x.gif'));
    expect([picture.width, picture.height]).toEqual([8, 8]);
    expect(pixel(picture, 3, 3)[0]).toBeGreaterThan(200);
  });

  test('a panorama of 20,000 pixels', async () => {
    const wide = sharp({ create: { width: 20_000, height: 500, channels: 3, background: '#204060' } });
    await writeFile(at('wide.jpg'), await wide.jpeg().toBuffer());
    expect(await shrunkPicture(at('wide.jpg'), 320)).toMatchObject({ width: 20_000, height: 500 });
    expect((await readPicture(at('wide.jpg'))).width).toBe(20_000);
  });

  test('a preview is a WebP no larger than asked, and never larger than the picture', async () => {
    await writeFile(at('x.png'), await halves().png().toBuffer());
    const sizeOf = async (side: number): Promise<unknown> => {
      const { format, width, height } = await sharp((await shrunkPicture(at('x.png'), side)).bytes).metadata();
      return { format, width, height };
    };
    expect(await sizeOf(20)).toEqual({ format: 'webp', width: 20, height: 10 });
    expect(await sizeOf(400)).toEqual({ format: 'webp', width: 40, height: 20 });
  });
});

/** A PNG that claims a size. */
function claimedPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.alloc(1000));
  return Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

describe('what is wrong is said', () => {
  const refused = async (name: string, bytes: Buffer | string): Promise<{ code: string; message: string }> => {
    await writeFile(at(name), bytes);
    return readPicture(at(name)).then(
      () => ({ code: 'none', message: '' }),
      (thrown: unknown) => thrown as { code: string; message: string },
    );
  };

  test('an empty file, a text, a drawing, a PDF and a clip with a picture’s name', async () => {
    expect((await refused('a.jpg', '')).message).toBe('"a.jpg" is empty.');
    expect((await refused('b.jpg', 'Dear diary,\nnothing today.')).message).toContain('"b.jpg" is a text file');
    expect((await refused('c.png', '<?xml version="1.0"?><svg width="9"/>')).message).toContain('an SVG drawing');
    expect((await refused('d.png', '%PDF-1.7')).message).toContain('a PDF');
    expect((await refused('e.jpg', Buffer.from('\0\0\0\u0018ftypisom', 'latin1'))).message).toContain('a clip');
    expect((await refused('f.jpg', Buffer.from('\0\0\0\u0018ftypheic', 'latin1'))).message).toContain('HEIC');
  });

  test('a picture that ends too early', async () => {
    const whole = await halves().png().toBuffer();
    const { code, message } = await refused('x.png', whole.subarray(0, whole.length - 40));
    expect([code, message]).toEqual(['bad-file', expect.stringContaining('"x.png" is damaged')]);
    const photo = await halves().resize(400, 200).jpeg().toBuffer();
    expect((await refused('x.jpg', photo.subarray(0, 900))).code).toBe('bad-file');
  });

  test('a bomb is refused before it is unpacked', async () => {
    const { code, message } = await refused('bomb.png', claimedPng(60_000, 60_000));
    expect([code, message]).toEqual(['bad-file', '"bomb.png" has more than 268 million pixels.']);
    expect((await refused('claim.png', claimedPng(16_000, 16_000))).message).toMatch(
      /^"claim\.png" claims 256 million pixels, which its \d+ bytes cannot hold\.$/,
    );
  });

  test('random bytes, and bytes after a right beginning', async () => {
    const noise = Buffer.from(Array.from({ length: 500 }, (_, n) => (n * 7919 + 13) % 251));
    expect((await refused('x.webp', noise)).code).toBe('bad-file');
    const start = Buffer.from('RIFF\u0010\0\0\0WEBPVP8L', 'latin1');
    expect((await refused('y.webp', Buffer.concat([start, noise]))).code).toBe('bad-file');
  });

  test.each(['png', 'jpeg', 'webp', 'gif', 'avif', 'tiff'] as const)(
    'of a %s with any bytes changed: pixels of its size, or words; never a fault of ours',
    async (format) => {
      const whole = await halves().toFormat(format).toBuffer();
      // A fixed sequence of numbers that look random (Lehmer).
      let state = 12_345;
      const next = (below: number): number => {
        state = (state * 48_271) % 0x7fff_ffff;
        return state % below;
      };
      for (let trial = 0; trial < 40; trial += 1) {
        const hostile = Buffer.from(whole);
        for (let change = 0; change <= next(6); change += 1) hostile[next(hostile.length)] = next(256);
        const cut = next(4) === 0 ? hostile.subarray(0, next(hostile.length)) : hostile;
        const outcome = await readPicture({ name: 'x', bytes: cut }).catch((thrown: unknown) => thrown);
        if (outcome instanceof LutraError) expect(['bad-file', 'not-supported']).toContain(outcome.code);
        else {
          const { width, height, rgb } = outcome as Pixels;
          expect(rgb).toHaveLength(width * height * 3);
        }
      }
    },
  );

  test('a file that is gone, and a folder', async () => {
    await expect(readPicture(at('gone.jpg'))).rejects.toMatchObject({ code: 'file-access', subject: at('gone.jpg') });
    await mkdir(at('folder.jpg'));
    await expect(readPicture(at('folder.jpg'))).rejects.toMatchObject({
      message: expect.stringContaining('folder.jpg'),
    });
  });
});
