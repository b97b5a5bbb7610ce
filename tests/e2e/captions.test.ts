import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHost, temporaryFolder } from '../fixtures/host.ts';
import type { RunningHost } from '../fixtures/host.ts';
import { pngOf, sceneOf } from '../fixtures/pictures.ts';
import { accessibilityViolations, launchBrowser, openStudio } from './browser.ts';
import type { StudioPage } from './browser.ts';

/** The machine may be busy with other things. */
const patient = { timeout: 20_000 };

let browser: Browser;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: RunningHost;
let studio: StudioPage;
let page: Page;

const list = (): Locator => page.getByRole('listbox', { name: 'Pictures and clips' });
const option = (name: string): Locator => list().getByRole('option', { name });
const selected = (): Locator => list().getByRole('option', { selected: true });
const caption = (): Locator => page.getByRole('textbox', { name: 'Caption', exact: true });
const shown = (name: string): Locator => page.getByRole('region', { name: `Shown: ${name}` });
const filter = (name: RegExp): Locator => page.getByRole('group', { name: 'Show' }).getByRole('button', { name });
const searchField = (): Locator => page.getByRole('searchbox', { name: 'Search names and captions' });

async function toPanel(): Promise<void> {
  await page.getByRole('navigation', { name: 'Panels' }).getByRole('button', { name: 'Caption', exact: true }).click();
}

/** Adds what lies at a path of the host's disk. */
async function addFromDisk(path: string): Promise<void> {
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Browse the disk…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add from the disk of the machine that runs Lutra' });
  await dialog.getByRole('textbox', { name: 'Path' }).fill(path);
  await dialog.getByRole('button', { name: 'Add', exact: true }).last().click();
  await dialog.waitFor({ state: 'detached' });
}

async function writeCaption(text: string): Promise<void> {
  await caption().fill(text);
  await page.keyboard.press('Escape');
  await expect.poll(() => selected().innerText(), patient).toContain(text);
}

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'holiday', 'beach'), { recursive: true });
  for (let at = 0; at < 6; at += 1) {
    const inside = at < 2 ? join('holiday', 'beach') : 'holiday';
    await writeFile(join(folder.path, inside, `scene ${at}.png`), pngOf(sceneOf(at)));
  }
  await writeFile(join(folder.path, 'holiday', 'notes.txt'), 'no picture');
  host = await startHost(join(folder.path, 'data'));
  studio = await openStudio(browser, await host.address());
  page = studio.page;
  page.setDefaultTimeout(60_000);
  await toPanel();
});
afterAll(async () => {
  await browser.close();
  await host.stop();
  await folder.remove();
});

describe('pictures', () => {
  test('of a chosen folder are sent and listed, with its inner folders; other files are left out', async () => {
    await page.getByRole('heading', { name: 'Captions for pictures and videos' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.locator('input[type=file]').last().setInputFiles(join(folder.path, 'holiday'));
    await page.getByText('6 items added').waitFor();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(6);
    await option('scene 0.png').click();
    await shown('scene 0.png')
      .getByText(/holiday\/beach/)
      .waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('dropped on the window from another panel lead here; what is there already is not added twice', async () => {
    await page.keyboard.press('Control+1');
    const transfer = await page.evaluateHandle(
      (base64) => {
        const data = new DataTransfer();
        const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        data.items.add(new File([content], 'dropped 水獭.png', { type: 'image/png' }));
        return data;
      },
      pngOf(sceneOf(9)).toString('base64'),
    );
    await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
    await page.getByRole('heading', { level: 1, name: 'Caption' }).waitFor();
    await option('dropped 水獭.png').waitFor();
    const disk = join(folder.path, 'holiday');
    await addFromDisk(disk);
    await page.getByText('6 items added').last().waitFor();
    await addFromDisk(disk);
    await page.getByText('6 were here already.').waitFor();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(13);
  });
});

describe('the keyboard', () => {
  test('moves, chooses ranges, and acts on them', async () => {
    await list().focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await shown('scene 1.png').waitFor();
    await page.keyboard.press('Shift+ArrowRight');
    await page.keyboard.press('Shift+ArrowRight');
    await page.getByText('3 selected').waitFor();
    expect(await selected().count()).toBe(3);
    await page.keyboard.press('l');
    await expect.poll(() => list().getByText('Locked').count(), patient).toBe(3);
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.keyboard.press('Control+z');
    await expect.poll(() => list().getByText('Locked').count(), patient).toBe(0);
    await page.keyboard.press('Control+y');
    await expect.poll(() => list().getByText('Locked').count(), patient).toBe(3);
    await page.keyboard.press('l');
    await expect.poll(() => list().getByText('Locked').count(), patient).toBe(0);
    await page.keyboard.press('Control+a');
    await page.getByText('13 selected').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => selected().count(), patient).toBe(1);
  });

  test('edits with Enter, saves by itself, and comes back with Escape', async () => {
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    await expect.poll(() => caption().evaluate((element) => element === document.activeElement), patient).toBe(true);
    await page.keyboard.insertText('A red circle on a pale ground');
    await shown('scene 0.png').getByText('Saved').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => list().evaluate((element) => element === document.activeElement), patient).toBe(true);
    await filter(/^Edited 1/).waitFor();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await writeCaption('A circle, red, and another circle');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await writeCaption('A square');
  });

  test('removes with Delete, and the notice brings back', async () => {
    await list().focus();
    await page.keyboard.press('End');
    const before = await list().getByRole('option').count();
    await page.keyboard.press('Delete');
    await page.getByText('1 item removed from the list').waitFor();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(before - 1);
    await page.getByRole('button', { name: 'Undo', exact: true }).last().click();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(before);
  });
});

describe('the list', () => {
  test('is filtered by state, and searched in names and captions', async () => {
    await filter(/^Edited 3/).click();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(3);
    await filter(/^All/).click();
    await searchField().fill('circle');
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(2);
    await searchField().fill('水獭');
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(1);
    await searchField().fill('nowhere');
    await page.getByText('Nothing matches “nowhere”.').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show all' }).click();
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(13);
    expect(await searchField().inputValue()).toBe('');
  });

  test('finds and replaces over all, after saying how much; locked ones stay; undo takes it back', async () => {
    await option('scene 0.png').first().click();
    await page.getByRole('button', { name: 'Lock', exact: true }).click();
    await page.keyboard.press('Control+h');
    const dialog = page.getByRole('dialog', { name: 'Find and replace' });
    await dialog.getByRole('textbox', { name: 'Find', exact: true }).fill('Circle');
    await dialog.getByRole('textbox', { name: 'Replace with' }).fill('disc');
    await dialog.getByText('Found 2 times in 1 caption.').waitFor();
    await dialog.getByRole('switch', { name: 'Match upper and lower case' }).click();
    await dialog.getByText('Not found.').waitFor();
    await dialog.getByRole('switch', { name: 'Match upper and lower case' }).click();
    await dialog.getByRole('listitem').getByText('disc, red, and another disc').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Replace all 2' }).click();
    await dialog.waitFor({ state: 'detached' });
    await expect
      .poll(() => option('scene 1.png').first().innerText(), patient)
      .toContain('A disc, red, and another disc');
    expect(await option('scene 0.png').first().innerText()).toContain('A red circle');
    await list().focus();
    await page.keyboard.press('Control+z');
    await expect.poll(() => option('scene 1.png').first().innerText(), patient).toContain('A circle, red');
    await page.getByRole('button', { name: 'Unlock', exact: true }).click();
  });

  test('is saved as a table, and as text files beside the pictures', async () => {
    await page.keyboard.press('Control+e');
    const dialog = page.getByRole('dialog', { name: 'Save captions' });
    await dialog.getByRole('combobox', { name: 'Format' }).click();
    await page.getByRole('option', { name: 'Table (.csv)' }).click();
    expect(await accessibilityViolations(page)).toEqual([]);
    const download = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Download' }).click();
    const table = await readFile(await (await download).path(), 'utf8');
    expect(table).toContain('A red circle on a pale ground');
    await page.getByText('3 captions saved').waitFor();

    await searchField().fill('scene 3');
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(2);
    await list().getByRole('option').last().click();
    await caption().fill('Beside it');
    await shown('scene 3.png').getByText('Saved').waitFor();
    await page.keyboard.press('Control+e');
    await page
      .getByRole('dialog', { name: 'Save captions' })
      .getByRole('button', { name: 'Save', exact: true })
      .click();
    await page.getByText('4 files written').waitFor();
    expect(await readFile(join(folder.path, 'holiday', 'scene 3.txt'), 'utf8')).toBe('Beside it\n');
    await searchField().fill('');
  });

  test('is there after a reload, edits included', async () => {
    await page.reload();
    await expect
      .poll(() => option('scene 0.png').first().innerText(), patient)
      .toContain('A red circle on a pale ground');
  });
});

describe('ten thousand pictures', () => {
  const many = 10_000;

  test('are listed, and only what can be seen is drawn', async () => {
    const vast = join(folder.path, 'vast');
    await mkdir(vast);
    const tiny = pngOf(sceneOf(1, 8, 8));
    for (let from = 0; from < many; from += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, at) =>
          writeFile(join(vast, `picture ${String(from + at).padStart(5, '0')}.png`), tiny),
        ),
      );
    }
    await addFromDisk(vast);
    await page.getByText('10000 items added').waitFor();
    await list().focus();
    await page.keyboard.press('End');
    await shown('picture 09999.png').waitFor();
    expect(await list().getByRole('option').count()).toBeLessThan(120);
    const last = list().getByRole('option', { selected: true });
    expect(await last.getAttribute('aria-posinset')).toBe(String(many + 13));
    expect(await last.getAttribute('aria-setsize')).toBe(String(many + 13));
    // Somewhere in between, as the scrollbar goes: what comes into view is asked for then.
    await list().evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    await list()
      .getByRole('option', { name: /picture 0[45]\d\d\d/ })
      .first()
      .waitFor();
    expect(await list().getByRole('option').count()).toBeLessThan(120);
  });

  test('are searched, chosen all at once and removed, and come back', async () => {
    await searchField().fill('picture 04567');
    await expect.poll(() => list().getByRole('option').count(), patient).toBe(1);
    await searchField().fill('picture');
    await expect
      .poll(() => list().getByRole('option').first().getAttribute('aria-setsize'), patient)
      .toBe(String(many));
    await list().focus();
    await page.keyboard.press('Control+a');
    await page.getByText('10,000 selected').waitFor();
    await page.keyboard.press('Delete');
    await page.getByText('Nothing matches “picture”.').waitFor();
    await page.getByRole('button', { name: 'Undo', exact: true }).last().click();
    await expect
      .poll(() => list().getByRole('option').first().getAttribute('aria-setsize'), patient)
      .toBe(String(many));
    await searchField().fill('');
  });
});

describe('a narrow window', () => {
  test('shows the list, and what was chosen over it', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await list().getByRole('option').first().waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await list().getByRole('option').first().click();
    await page.getByRole('button', { name: 'Back to the list' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Back to the list' }).click();
    await list().waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
  });
});

test('no page broke its content policy, threw, or asked anything of anyone else', () => {
  expect(studio.faults).toEqual([]);
});
