import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demoModel } from '../fixtures/demos.ts';
import { repository, startHost, temporaryFolder } from '../fixtures/host.ts';
import type { RunningHost } from '../fixtures/host.ts';
import { accessibilityViolations, launchBrowser, openStudio } from './browser.ts';
import type { PageOptions, StudioPage } from './browser.ts';

let browser: Browser;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: RunningHost;
let studio: StudioPage;
let page: Page;

const card = (name: string): ReturnType<Page['locator']> => page.getByRole('region', { name, exact: true });

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await temporaryFolder();
  // A chat demo and samples, but neither captions nor sounds. A copy of Lutra may come without the guide's weights.
  const demos = join(folder.path, 'demos');
  await mkdir(demos);
  const shipped = join(repository, 'models/lutra-guide');
  const guide = existsSync(join(shipped, 'model.safetensors')) ? shipped : join(repository, 'tests/golden/trained');
  await cp(guide, join(demos, 'lutra-guide'), { recursive: true });
  await cp(join(repository, 'models/samples'), join(demos, 'samples'), { recursive: true });
  host = await startHost(join(folder.path, 'data'), demos);
  studio = await openStudio(browser, await host.address());
  page = studio.page;
});
afterAll(async () => {
  await browser.close();
  await host.stop();
  await folder.remove();
});

describe('the first run', () => {
  test('shows a card per panel, and says plainly what cannot be done yet', async () => {
    await page.getByRole('heading', { name: 'Welcome to Lutra' }).waitFor();
    await card('Chat').getByRole('button', { name: 'Ask the guide' }).waitFor();
    await card('Caption').getByText('no demo model for captions').waitFor();
    await card('Audio').getByText('The demo model for sounds is not in the list').waitFor();
    expect(await card('Chat').getByRole('button', { name: 'Ask the guide' }).isEnabled()).toBe(true);
    expect(await card('Caption').getByRole('button', { name: 'Caption the samples' }).isDisabled()).toBe(true);
    expect(await card('Audio').getByRole('button', { name: 'Make a sound' }).isDisabled()).toBe(true);
    const sizes = await card('Caption')
      .locator('img')
      .evaluateAll((images) => Promise.all(images.map((image) => (image as HTMLImageElement).decode().then(() => 1))));
    expect(sizes.length).toBeGreaterThan(1);
  });

  const looks: [string, PageOptions, string][] = [
    ['light and wide', {}, 'Welcome to Lutra'],
    ['dark and narrow', { colorScheme: 'dark', width: 390, height: 780 }, 'Welcome to Lutra'],
    ['Chinese', { locale: 'zh-CN', width: 900 }, '欢迎使用 Lutra'],
  ];
  test.each(looks)('is readable for all: %s', async (_name, options, heading) => {
    const other = await openStudio(browser, await host.address(), options);
    await other.page.getByRole('heading', { name: heading }).waitFor();
    expect(await accessibilityViolations(other.page)).toEqual([]);
    await other.page.evaluate(() => {
      window.location.hash = '#/weights';
    });
    await other.page.getByText('bnb-4bit', { exact: false }).first().waitFor();
    expect(await accessibilityViolations(other.page)).toEqual([]);
    const overflow = await other.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    expect(other.faults).toEqual([]);
    await other.context.close();
  });

  test('leads from a missing sound model to where to get one, and on to adding it', async () => {
    await card('Audio').getByRole('button', { name: 'Bring your own weights' }).click();
    await page.getByRole('heading', { name: 'Bring your own weights' }).waitFor();
    await page.getByRole('button', { name: 'Add a model' }).click();
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor();
    await page.goBack();
    await page.goBack();
    await page.getByRole('heading', { name: 'Welcome to Lutra' }).waitFor();
  });

  test('asks the guide, and the answer comes', async () => {
    await card('Chat').getByRole('button', { name: 'Ask the guide' }).click();
    await page.getByRole('log').getByText('What can Lutra do?').waitFor();
    const log = page.getByRole('log');
    await expect.poll(async () => (await log.innerText()).length, { timeout: 20_000 }).toBeGreaterThan(100);
  });

  test('is there again from the palette', async () => {
    await page.keyboard.press('Control+K');
    await page.getByRole('combobox').fill('welcome');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Welcome to Lutra' }).waitFor();
  });
});

describe('a demo model', () => {
  test('is marked, is hidden without being deleted, and is shown again', async () => {
    const rail = page.getByRole('navigation', { name: 'Panels' });
    await rail.getByRole('button', { name: 'Models', exact: true }).click();
    const row = page.getByRole('row').filter({ hasText: 'lutra-guide' });
    await row.getByText('Demo', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Actions for lutra-guide' }).click();
    await page.getByRole('menuitem', { name: 'Hide this demo model' }).click();
    await row.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Add model' }).click();
    await page.getByRole('menuitem', { name: 'Show the demo models' }).click();
    await row.waitFor();
  });
});

const tones = demoModel('lutra-tones');

describe.runIf(tones.isHere)('with the demo model for sounds', () => {
  let sounding: RunningHost;
  let other: StudioPage;
  beforeAll(async () => {
    const demos = join(folder.path, 'tones');
    await cp(join(folder.path, 'demos'), demos, { recursive: true });
    await cp(tones.path, join(demos, 'lutra-tones'), { recursive: true });
    sounding = await startHost(join(folder.path, 'tones-data'), demos);
    other = await openStudio(browser, await sounding.address());
  });
  afterAll(() => sounding.stop());

  test('a suggestion becomes a take at once, and the panel suggests what the model knows', async () => {
    const audio = other.page.getByRole('region', { name: 'Audio', exact: true });
    expect(await audio.getByRole('button', { name: 'Make a sound' }).isEnabled()).toBe(true);
    await audio.getByRole('button', { name: 'Flute playing A4, panned left' }).click();
    await other.page.getByRole('button', { name: 'Actions for Flute playing A4, panned left' }).waitFor();
    await other.page.getByRole('button', { name: 'Examples', exact: true }).click();
    await other.page.getByRole('menuitem', { name: 'Simple beat at 120 BPM' }).waitFor();
    await other.page.keyboard.press('Escape');
    expect(await accessibilityViolations(other.page)).toEqual([]);
    expect(other.faults).toEqual([]);
  });
});

test('nothing broke the content policy, threw, or asked anything of anyone else', () => {
  expect(studio.faults).toEqual([]);
});
