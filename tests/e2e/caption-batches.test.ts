import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHost, temporaryFolder } from '../fixtures/host.ts';
import type { RunningHost } from '../fixtures/host.ts';
import { pngOf, recordClip, sceneOf } from '../fixtures/pictures.ts';
import { accessibilityViolations, launchBrowser, openPage, openStudio } from './browser.ts';
import type { StudioPage } from './browser.ts';

/** The machine may be busy with other things. */
const patient = { timeout: 60_000 };
const pictures = 14;

let browser: Browser;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: RunningHost;
let studio: StudioPage;
let page: Page;

const list = (): Locator => page.getByRole('listbox', { name: 'Pictures and clips' });
const option = (name: string): Locator => list().getByRole('option', { name });
const shown = (name: string): Locator => page.getByRole('region', { name: `Shown: ${name}` });
const filter = (name: RegExp): Locator => page.getByRole('group', { name: 'Show' }).getByRole('button', { name });
const start = (): Locator => page.getByRole('button', { name: /^Caption \d+$/ });
const rail = (name: string): Locator =>
  page.getByRole('navigation', { name: 'Panels' }).getByRole('button', { name, exact: true });

async function addFromDisk(button: string, path: string): Promise<void> {
  await page.getByRole('button', { name: button, exact: true }).click();
  await page.getByRole('menuitem', { name: 'Browse the disk…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add from the disk of the machine that runs Lutra' });
  await dialog.getByRole('textbox', { name: 'Path' }).fill(path);
  await dialog.getByRole('button', { name: 'Add', exact: true }).last().click();
  await dialog.waitFor({ state: 'detached' });
}

async function ended(): Promise<void> {
  await page.getByRole('region', { name: 'How to caption' }).waitFor();
}

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'set'));
  for (let at = 0; at < pictures; at += 1) {
    await writeFile(join(folder.path, 'set', `scene ${String(at).padStart(2, '0')}.png`), pngOf(sceneOf(at, 64, 48)));
  }
  host = await startHost(join(folder.path, 'data'));
  studio = await openStudio(browser, await host.address());
  page = studio.page;
  page.setDefaultTimeout(60_000);
  await rail('Models').click();
  await addFromDisk('Add model', join(import.meta.dirname, '../golden/vision/evlm-dense'));
  await rail('Caption').click();
  await addFromDisk('Add pictures or clips', join(folder.path, 'set'));
  await option('scene 13.png').waitFor();
});
afterAll(async () => {
  await browser.close();
  await host.stop();
  await folder.remove();
});

describe('a batch', () => {
  test('shows its first captions and waits; stopped there, the prompt is changed and it starts again', async () => {
    // An own one is left alone.
    await option('scene 13.png').click();
    await page.getByRole('textbox', { name: 'Caption', exact: true }).fill('Mine');
    await filter(/^Edited 1/).waitFor();
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('textbox', { name: 'Put before' }).fill('otter,');
    await page.getByRole('textbox', { name: 'Longest caption (tokens)' }).fill('5');
    await page.keyboard.press('Enter');
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Options' }).click();
    await start().click();
    const preview = page.getByRole('region', { name: 'The first ones are ready. Do they look right?' });
    await preview.waitFor();
    await expect.poll(() => preview.getByRole('listitem').count(), patient).toBe(4);
    await preview
      .getByText(/^otter, /)
      .first()
      .waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await preview.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('combobox', { name: 'Kind of caption' }).click();
    await page.getByRole('option', { name: 'My own prompt' }).click();
    await page.getByRole('textbox', { name: 'Prompt' }).fill('What is on {name}?');
    await page.getByRole('button', { name: 'Other ways to start' }).click();
    await page.getByRole('menuitem', { name: /^All of them anew/ }).click();
    await preview.waitFor();
    await preview.getByRole('button', { name: /^Go on with/ }).click();
    await ended();
    await page.getByRole('button', { name: 'All have captions' }).waitFor();
    await filter(/^Done 13/).waitFor();
    expect(await option('scene 13.png').innerText()).toContain('Mine');
  });

  test('made anew is one step back with undo', async () => {
    const before = await list().getByRole('option').filter({ hasText: 'otter,' }).first().innerText();
    const again = option(before.split('\n')[0] ?? '');
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('textbox', { name: 'Put before' }).fill('again:');
    await page.getByRole('button', { name: 'Options' }).click();
    await again.click();
    await list().focus();
    await page.keyboard.press('r');
    await expect.poll(() => again.innerText(), patient).toContain('again:');
    await ended();
    await page.getByRole('button', { name: /^Bring back the caption/ }).click();
    await expect.poll(() => again.innerText(), patient).toBe(before);
  });

  test('says of each that fails why, does the others, and tries again', async () => {
    const [cut, gone] = ['cut.png', 'gone.png'].map((name) => join(folder.path, 'more', name));
    await mkdir(join(folder.path, 'more'));
    await writeFile(cut ?? '', pngOf(sceneOf(1)).subarray(0, 300));
    await writeFile(gone ?? '', pngOf(sceneOf(2)));
    await writeFile(join(folder.path, 'more', 'text.jpg'), 'no picture at all');
    await writeFile(join(folder.path, 'more', 'whole.png'), pngOf(sceneOf(3)));
    await addFromDisk('Add', join(folder.path, 'more'));
    await option('whole.png').waitFor();
    await rm(gone ?? '');
    await start().click();
    await filter(/^Failed 3/).waitFor();
    await ended();
    await filter(/^Failed 3/).click();
    for (const name of ['cut.png', 'gone.png', 'text.jpg']) {
      await option(name).click();
      await shown(name).getByRole('alert').getByText(name).first().waitFor();
    }
    expect(await accessibilityViolations(page)).toEqual([]);
    await writeFile(gone ?? '', pngOf(sceneOf(2)));
    await option('gone.png').click();
    await shown('gone.png').getByRole('button', { name: 'Try again' }).click();
    await filter(/^Failed 2/).waitFor();
    await filter(/^All/).click();
  });

  test('goes on after the studio was killed in the middle of it; everything is done once', async () => {
    // Decoding these takes longer than a batch of small ones in all.
    const large = await sharp({ create: { width: 9000, height: 7000, channels: 3, background: '#405060' } })
      .jpeg()
      .toBuffer();
    for (const at of ['02', '04', '06', '08', '10', '12'])
      await writeFile(join(folder.path, 'set', `scene ${at}.png`), large);
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('textbox', { name: 'Longest caption (tokens)' }).fill('200');
    await page.keyboard.press('Enter');
    await page.getByRole('switch', { name: 'Ask me after the first few' }).click();
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('button', { name: 'Other ways to start' }).click();
    await page.getByRole('menuitem', { name: /^All of them anew/ }).click();
    await page
      .getByRole('region', { name: 'Captioning' })
      .getByText(/^[1-9]\d* of 17/)
      .waitFor();
    await host.kill();
    host = await startHost(join(folder.path, 'data'));
    const again = await openPage(studio.context, await host.address(), studio.faults as string[]);
    await page.close();
    page = again;
    page.setDefaultTimeout(60_000);
    await rail('Caption').click();
    const stopped = page.getByRole('region', { name: 'A batch that stopped' });
    await stopped.getByText(/Lutra ended at \d+ of 17\. Nothing is lost\./).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await stopped.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('region', { name: 'Captioning' }).getByRole('button', { name: 'Pause' }).click();
    await stopped.getByText(/^Paused at \d+ of 17\./).waitFor();
    await stopped.getByRole('button', { name: 'Leave it' }).click();
    await stopped.waitFor({ state: 'detached' });
  });
});

describe('a clip', () => {
  /** The colour in the middle of a frame of the strip, as a hue. */
  const hueOf = (frame: Locator): Promise<number> =>
    frame.locator('img').evaluate((image: HTMLImageElement) => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [1, 1];
      const context = canvas.getContext('2d');
      context?.drawImage(image, image.naturalWidth * 0.4, image.naturalHeight * 0.6, 4, 4, 0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0] = context?.getImageData(0, 0, 1, 1).data ?? [];
      const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
      const span = Math.max(1, most - least);
      const sector =
        most === red ? (green - blue) / span : most === green ? 2 + (blue - red) / span : 4 + (red - green) / span;
      return Math.round((sector * 60 + 360) % 360);
    });

  test('is captioned scene by scene, from frames that the page decodes, turned and however uneven in time', async () => {
    await mkdir(join(folder.path, 'clips'));
    const clip = await recordClip(browser, {
      format: 'mp4',
      codec: 'avc',
      width: 160,
      height: 96,
      rotation: 90,
      scenes: [
        { seconds: 2, hue: 20 },
        { seconds: 1, hue: 210 },
        { seconds: 3, hue: 110 },
      ],
      // Many frames, then hardly any.
      frameTimes: [0, 0.1, 0.2, 1.9, 2, 2.05, 2.9, 3, 4.5],
    });
    await writeFile(join(folder.path, 'clips', 'turned.mp4'), clip);
    await addFromDisk('Add', join(folder.path, 'clips'));
    await option('turned.mp4').click();
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('combobox', { name: 'Frames of a clip' }).click();
    await page.getByRole('option', { name: 'Scene by scene' }).click();
    await page.getByRole('textbox', { name: 'How many' }).fill('2');
    await page.getByRole('textbox', { name: 'Longest caption (tokens)' }).fill('5');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Options' }).click();
    await list().focus();
    await page.keyboard.press('r');
    const detail = shown('turned.mp4');
    const segments = detail.getByRole('list', { name: 'Stretches of the clip' }).getByRole('listitem');
    await expect.poll(() => segments.count(), patient).toBe(3);
    await ended();
    await detail.getByText(/96 × 160 · 0:06/).waitFor();
    expect(await segments.nth(1).innerText()).toContain('0:02.0 – 0:03.0');
    const frames = detail.getByRole('list', { name: 'Frames' }).getByRole('listitem');
    expect(await frames.count()).toBe(6);
    for (const [at, hue] of [20, 20, 210, 210, 110, 110].entries()) {
      await frames.nth(at).locator('img').waitFor();
      expect(Math.abs((await hueOf(frames.nth(at))) - hue)).toBeLessThan(20);
    }
    expect(await accessibilityViolations(page)).toEqual([]);
    await frames.nth(2).getByRole('button').click();
    await expect
      .poll(() => detail.locator('video').evaluate((video: HTMLVideoElement) => video.currentTime), patient)
      .toBeCloseTo(2.25, 1);
    await detail.getByRole('textbox', { name: 'Caption from 0:02.0 to 0:03.0' }).fill('It turns blue.');
    await detail.getByText('Saved').waitFor();
    await page.keyboard.press('Control+e');
    const dialog = page.getByRole('dialog', { name: 'Save captions' });
    await dialog.getByRole('combobox', { name: 'Format' }).click();
    await page.getByRole('option', { name: 'Subtitles (.srt)' }).click();
    await dialog.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('1 file written').waitFor();
    const subtitles = await readFile(join(folder.path, 'clips', 'turned.srt'), 'utf8');
    expect(subtitles).toContain('00:00:02,000 --> 00:00:03,000\nIt turns blue.');
  });

  test('whose codec nothing here decodes says which; an empty one says so', async () => {
    const clip = await recordClip(browser, {
      format: 'mp4',
      codec: 'avc',
      width: 64,
      height: 64,
      scenes: [{ seconds: 1, hue: 20 }],
    });
    const strange = Buffer.from(clip.toString('latin1').replaceAll('avc1', 'zzzz'), 'latin1');
    await mkdir(join(folder.path, 'odd'));
    await writeFile(join(folder.path, 'odd', 'strange.mp4'), strange);
    await writeFile(join(folder.path, 'odd', 'empty.mp4'), '');
    await addFromDisk('Add', join(folder.path, 'odd'));
    await option('strange.mp4').click();
    await list().focus();
    await page.keyboard.press('r');
    await shown('strange.mp4').getByRole('alert').getByText(/zzzz/).waitFor();
    await ended();
    await list().focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    await shown('empty.mp4').waitFor();
    await page.keyboard.press('r');
    await shown('empty.mp4').getByRole('alert').getByText(/empty/).first().waitFor();
    await ended();
  });
});

describe('a question', () => {
  test('about a picture is answered, and followed by another', async () => {
    await list().focus();
    await page.keyboard.press('Home');
    await shown('scene 00.png').waitFor();
    await page.getByRole('button', { name: 'Ask about this picture' }).click();
    const question = page.getByRole('textbox', { name: 'Your question' });
    const answers = page.getByRole('log', { name: 'Questions and answers' });
    for (const asked of ['What colour is it?', 'And the ground?']) {
      await question.fill(asked);
      await page.keyboard.press('Enter');
      await answers.getByText(asked).waitFor();
      await page.getByRole('button', { name: 'Ask', exact: true }).waitFor();
    }
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Close the questions' }).click();
  });
});

test('no page broke its content policy, threw, or asked anything of anyone else', () => {
  expect(studio.faults).toEqual([]);
});
