import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyGguf, writeTinyGguf } from '../fixtures/gguf.ts';
import { startHost, temporaryFolder } from '../fixtures/host.ts';
import type { RunningHost } from '../fixtures/host.ts';
import { accessibilityViolations, launchBrowser, openPage, openStudio } from './browser.ts';
import type { StudioPage } from './browser.ts';

let browser: Browser;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: RunningHost;
let studio: StudioPage;
let page: Page;

const rail = (name: string): ReturnType<Page['locator']> =>
  page.getByRole('navigation', { name: 'Panels' }).getByRole('button', { name, exact: true });
const composer = (on: Page = page): ReturnType<Page['locator']> =>
  on.getByRole('textbox', { name: 'Message', exact: true });
const stats = (on: Page = page): ReturnType<Page['locator']> => on.getByText(/tok\/s · first token after/);

/** Drops a file on the window as a person would. */
async function drop(name: string, bytes: Buffer): Promise<void> {
  const transfer = await page.evaluateHandle(
    ({ base64, fileName }) => {
      const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([content], fileName));
      return data;
    },
    { base64: bytes.toString('base64'), fileName: name },
  );
  await page.dispatchEvent('body', 'dragenter', { dataTransfer: transfer });
  await page.getByText('Drop to add').waitFor();
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  await page.getByText('Drop to add').waitFor({ state: 'detached' });
}

async function send(text: string): Promise<void> {
  await composer().fill(text);
  await page.keyboard.press('Enter');
}

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await temporaryFolder();
  host = await startHost(join(folder.path, 'data'));
  studio = await openStudio(browser, await host.address());
  page = studio.page;
});
afterAll(async () => {
  await browser.close();
  await host.stop();
  await folder.remove();
});

describe('a new user', () => {
  test('is told what to do first, in every panel', async () => {
    await page.getByRole('heading', { name: 'Add a model to begin' }).waitFor();
    for (const [panel, heading] of [
      ['Models', 'Point Lutra to your models'],
      ['Jobs', 'No jobs'],
      ['Caption', 'Captions for pictures and videos'],
      ['Audio', 'Sound from text'],
    ] as const) {
      await rail(panel).click();
      await page.getByRole('heading', { name: heading }).waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
    }
    await rail('Chat').click();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('drops a GGUF file on the window and chats with it', async () => {
    await drop('tiny 水獭.gguf', tinyGguf());
    await page.getByRole('heading', { name: 'What shall we talk about?' }).waitFor();
    await send('Tell me of the river. It costs $5 and $6.');
    await stats().waitFor();
    const log = await page.getByRole('log').innerText();
    expect(log).toContain('It costs $5 and $6.');
    expect(log).toContain('tiny 水獭');
    await page.getByRole('heading', { level: 1, name: 'Tell me of the river. It costs $5 and $6.' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('edits the message, and sees both branches', async () => {
    await page.getByRole('button', { name: 'Edit', exact: true }).first().click();
    const editor = page.getByRole('textbox', { name: 'Edit your message' });
    await editor.fill('Tell me of the lake instead.');
    await page.getByRole('button', { name: 'Send edited message' }).click();
    await page.getByText('2/2').waitFor();
    await stats().waitFor();
    await page.getByRole('button', { name: 'Previous version' }).first().click();
    await page.getByRole('log').getByText('Tell me of the river.').waitFor();
    await page.getByRole('button', { name: 'Next version' }).first().click();
    await page.getByRole('log').getByText('Tell me of the lake instead.').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('answers again, by keyboard, and goes between the answers with the arrows', async () => {
    await page.getByRole('log').focus();
    await page.keyboard.press('Control+Shift+R');
    await page.getByRole('log').getByText('2/2').nth(1).waitFor();
    await stats().waitFor();
    await page.keyboard.press('Alt+ArrowLeft');
    await page.getByRole('log').getByText('1/2').waitFor();
  });

  test('reloads the page and finds the chat as it was', async () => {
    await page.reload();
    await page.getByRole('log').getByText('Tell me of the lake instead.').waitFor();
    await stats().waitFor();
  });

  test('finds a word in all messages, and the message it is in', async () => {
    await page.getByRole('textbox', { name: 'Search all messages' }).or(page.getByRole('searchbox')).fill('costs');
    await page.getByText('1 message found').waitFor();
    await page.locator('mark').first().click();
    await page.getByRole('log').getByText('It costs $5 and $6.').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
  });
});

describe('two windows', () => {
  test('see the same answer grow', async () => {
    await writeTinyGguf(join(folder.path, 'endless.gguf'), { endless: true, contextLength: 32_768 });
    await drop('endless.gguf', await readFile(join(folder.path, 'endless.gguf')));
    await page.getByRole('heading', { name: 'What shall we talk about?' }).waitFor();
    await send('Never stop.');
    await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
    await expect
      .poll(async () => (await page.getByRole('log').innerText()).length, { timeout: 20_000 })
      .toBeGreaterThan(150);
    const other = await openPage(studio.context, page.url(), studio.faults as string[]);
    await expect
      .poll(async () => (await other.getByRole('log').innerText()).length, { timeout: 20_000 })
      .toBeGreaterThan(200);
    await other.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByText('Stopped.').waitFor();
    const [one, two] = await Promise.all([
      page.getByRole('article').last().innerText(),
      other.getByRole('article').last().innerText(),
    ]);
    expect(two).toBe(one);
    await other.close();
  });
});

describe('faults', () => {
  test('the engine killed in mid-answer costs that answer, says why, and the next one works', async () => {
    await send('Go on for ever.');
    await expect
      .poll(async () => (await page.getByRole('article').last().innerText()).length, { timeout: 20_000 })
      .toBeGreaterThan(100);
    const { execFileSync } = await import('node:child_process');
    execFileSync('pkill', ['-KILL', '-P', String(host.process.pid)]);
    await page.getByText(/The engine stopped while it answered with "endless"/).waitFor();
    expect((await page.getByRole('article').last().innerText()).length).toBeGreaterThan(100);
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
    await expect
      .poll(async () => (await page.getByRole('article').last().innerText()).length, { timeout: 20_000 })
      .toBeGreaterThan(60);
    await page.keyboard.press('Escape');
    await page.getByText('Stopped.').last().waitFor();
  });

  test('a broken model is listed with the reason', async () => {
    await drop('cut.gguf', tinyGguf().subarray(0, 50_000));
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor();
    await page.getByText('Broken').waitFor();
    await page
      .getByRole('table')
      .getByText(/cut\.gguf: it is cut/)
      .waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('a model is added where it lies, by walking the disk of the host', async () => {
    await rail('Models').click();
    await page.getByRole('button', { name: 'Add model' }).click();
    await page.getByRole('menuitem', { name: 'Browse the disk…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add from the disk of the machine that runs Lutra' });
    await dialog.getByRole('textbox', { name: 'Path' }).fill('/no/such/folder');
    await page.keyboard.press('Enter');
    await dialog.getByText('The folder "/no/such/folder" cannot be read.').waitFor();
    await dialog.getByRole('textbox', { name: 'Path' }).fill(folder.path);
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Add: endless.gguf' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Add: endless.gguf' }).click();
    await dialog.waitFor({ state: 'detached' });
    await rail('Models').click();
    await page.getByRole('table').getByText(join(folder.path, 'endless.gguf')).waitFor();
  });

  test('a file that is nothing Lutra opens is named', async () => {
    await drop('holiday.xyz', Buffer.from('x'));
    await page.getByText('“holiday.xyz” is not something that Lutra opens.').waitFor();
  });

  test('while the host is gone the window says so; it comes back by itself, and nothing is lost', async () => {
    await rail('Chat').click();
    await page.getByRole('button', { name: /^Never stop\./ }).click();
    await page.getByRole('log').getByText('Go on for ever.').waitFor();
    await host.kill();
    await page.getByText('Connection lost. Reconnecting…').waitFor();
    await composer().fill('A draft that must not be lost');
    host = await startHost(join(folder.path, 'data'));
    // A new host has a new port and wants a new sign-in: the chats are there.
    const again = await openPage(studio.context, await host.address(), studio.faults as string[]);
    await page.close();
    page = again;
    await page.getByRole('button', { name: /^Never stop\./ }).click();
    await page.getByRole('log').getByText('Go on for ever.').waitFor();
    await page.getByRole('button', { name: /^Tell me of the river/ }).click();
    await page.getByRole('log').getByText('It costs $5 and $6.').waitFor();
  });
});

describe('a long conversation', () => {
  /** An export with so many turns; the last answer holds what Markdown can do. */
  function longExport(turns: number): Buffer {
    const rich = [
      'Prices: $5 and $6. A formula: $$\\int_0^1 x^2\\,dx = \\tfrac13$$',
      '```ts\nconst otter: string = "Lutra lutra";\n```',
      '| river | otters |\n|---|---|\n| Spree | 3 |',
      '![a picture](https://example.org/a.png) [a link](https://example.org/)',
    ].join('\n\n');
    const messages = Array.from({ length: turns }, (_, at) => ({
      id: `long ${at}`,
      parentId: at === 0 ? null : `long ${at - 1}`,
      role: at % 2 === 0 ? 'user' : 'assistant',
      text: at === turns - 1 ? rich : `Message ${at}. ${'Some words of a usual length. '.repeat(8)}`,
      status: 'complete',
      error: null,
      modelName: at % 2 === 0 ? null : 'a model',
      stats: null,
      createdAt: 1_700_000_000_000 + at,
    }));
    const conversation = {
      id: 'long',
      title: 'A long conversation',
      systemPrompt: '',
      sampler: { temperature: 1, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: null, maxTokens: null },
      contextSize: null,
      activeLeafId: `long ${turns - 1}`,
      createdAt: 1,
      updatedAt: Date.now(),
      messages,
    };
    return Buffer.from(JSON.stringify({ format: 'lutra-chats', version: 1, conversations: [conversation] }));
  }

  test('of thousands of messages opens at its end and draws only what can be seen', async () => {
    await drop('export.json', longExport(4000));
    await page.getByText('1 conversation imported').waitFor();
    await page.getByRole('button', { name: /^A long conversation/ }).click();
    await page.getByRole('log').getByText('Prices: $5 and $6.').waitFor();
    const log = page.getByRole('log');
    expect(await log.getByRole('article').count()).toBeLessThan(60);
    await log.evaluate((element) => element.scrollTo(0, 0));
    await log.getByText('Message 0.').waitFor();
    expect(await log.getByRole('article').count()).toBeLessThan(60);
    await page.getByRole('button', { name: 'To the newest message' }).click();
    await log.getByText('Prices: $5 and $6.').waitFor();
  });

  test('shows maths, code and tables, names the picture without loading it, and asks before a link', async () => {
    const log = page.getByRole('log');
    await log.locator('.katex').first().waitFor();
    await log.locator('.code-token').first().waitFor();
    await log.getByRole('table').waitFor();
    expect(await log.locator('img').count()).toBe(0);
    await log.getByText('a picture').waitFor();
    await log.getByRole('link', { name: 'a link' }).click();
    await page.getByRole('dialog', { name: 'Open this address?' }).getByText('https://example.org/').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Open this address?' }).waitFor({ state: 'detached' });
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('is deleted, and comes back with Undo', async () => {
    await page.getByRole('button', { name: 'Actions for A long conversation' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByText('“A long conversation” deleted').waitFor();
    await expect.poll(() => page.getByRole('button', { name: /^A long conversation/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page
      .getByRole('button', { name: /^A long conversation/ })
      .first()
      .click();
    await page.getByRole('log').getByText('Prices: $5 and $6.').waitFor();
  });

  test('is renamed by keyboard, and exported', async () => {
    await page.getByRole('log').focus();
    await page.keyboard.press('F2');
    await page.getByRole('textbox', { name: 'Name of the chat' }).fill('Otters 水獭');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Otters 水獭' }).waitFor();
    await page.getByRole('button', { name: 'Actions for Otters 水獭' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'Export as Markdown' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe('Otters 水獭.md');
    expect(await readFile(await saved.path(), 'utf8')).toContain('Prices: $5 and $6.');
  });
});

describe('a Hugging Face folder', () => {
  test('is made smaller from the Models panel, and the copy chats', async () => {
    const path = join(folder.path, 'tiny-llama');
    await cp(join(import.meta.dirname, '../golden/chat/tiny-llama'), path, { recursive: true });
    await rail('Models').click();
    await page.getByRole('button', { name: 'Add model' }).click();
    await page.getByRole('menuitem', { name: 'Browse the disk…' }).click();
    await page.getByRole('textbox', { name: 'Path' }).fill(path);
    await page.getByRole('button', { name: 'Add', exact: true }).last().click();
    await page.getByRole('heading', { name: 'What shall we talk about?' }).waitFor();
    await rail('Models').click();
    await page.getByRole('button', { name: 'Actions for tiny-llama', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Make a smaller copy…' }).click();
    const dialog = page.getByRole('dialog', { name: 'A smaller copy of tiny-llama' });
    await dialog.getByText('% saved').waitFor();
    await dialog.getByRole('radio', { name: '3 bits' }).click();
    await dialog.getByText('tiny-llama-lut3-g64').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Make the copy' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'tiny-llama-lut3-g64', exact: true }).click();
    await send('Hello otter');
    await stats().waitFor();
    await page.getByRole('contentinfo', { name: 'Status' }).getByText('3-bit').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });
});

describe('sounds', () => {
  const takes = (): ReturnType<Page['locator']> =>
    page.getByRole('list', { name: 'List of takes' }).getByRole('listitem');

  test('are made from words, played, marked and exported; the file restores its settings', async () => {
    await rail('Models').click();
    await page.getByRole('button', { name: 'Add model' }).click();
    await page.getByRole('menuitem', { name: 'Browse the disk…' }).click();
    await page
      .getByRole('textbox', { name: 'Path' })
      .fill(join(import.meta.dirname, '../golden/audio/small-single/model.safetensors'));
    await page.getByRole('button', { name: 'Add', exact: true }).last().click();
    await page.getByRole('table').getByText('small-single', { exact: true }).waitFor();
    await rail('Audio').click();
    await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('Warm rain 水獭');
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.keyboard.press('Control+Enter');
    await takes().getByText('Warm rain 水獭').waitFor();
    await page.getByRole('button', { name: 'Play', exact: true }).click();
    await page.getByRole('button', { name: 'Show the spectrogram' }).click();
    await page.getByRole('button', { name: 'Mark a region' }).click();
    await page.getByRole('button', { name: 'Make it anew' }).click();
    await page.getByText('Only this part is made anew').waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Make a sound' }).click();
    await takes().getByText('from “Warm rain 水獭”').waitFor();
    await page.getByRole('button', { name: 'Start from nothing instead' }).click();

    await page.getByRole('region', { name: 'Player' }).getByRole('button', { name: 'Export…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Export Warm rain 水獭' });
    expect(await accessibilityViolations(page)).toEqual([]);
    const download = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Save the file' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe('Warm rain 水獭.wav');
    await page.getByRole('region', { name: 'Player' }).getByRole('button', { name: 'Export…' }).click();
    await dialog.getByRole('combobox', { name: 'Format' }).click();
    await page.getByRole('option', { name: 'Opus (OGG)' }).click();
    await dialog.getByRole('textbox', { name: 'File name' }).fill('{name}/{seconds} s');
    const opus = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Save the file' }).click();
    const opusFile = await opus;
    expect(opusFile.suggestedFilename()).toMatch(/^Warm rain 水獭 \d+\.\d s\.ogg$/);
    expect((await readFile(await opusFile.path())).subarray(0, 4).toString()).toBe('OggS');
    await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('Something else');
    await drop('back.wav', await readFile(await saved.path()));
    await page.getByText('Settings of “back” restored').waitFor();
    expect(await page.getByRole('textbox', { name: 'Prompt', exact: true }).inputValue()).toBe('Warm rain 水獭');
  });

  test('are dragged out as files once the pointer has rested on them', async () => {
    const row = takes().first();
    await row.hover();
    const types = (): Promise<readonly string[]> =>
      row.evaluate((element) => {
        const dataTransfer = new DataTransfer();
        element.dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true, cancelable: true }));
        return [...dataTransfer.types].map((type) => `${type}: ${dataTransfer.getData(type)}`);
      });
    await expect.poll(types).toEqual([expect.stringMatching(/^downloadurl: audio\/wav:back\.wav:blob:/)]);
  });

  test('are deleted, and come back with Undo', async () => {
    await page.getByRole('button', { name: 'Actions for back' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByText('“back” deleted').waitFor();
    await expect.poll(() => takes().getByText('back', { exact: true }).count()).toBe(0);
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await takes().getByText('back', { exact: true }).waitFor();
  });

  test('what is no sound is named', async () => {
    await drop('broken.wav', Buffer.from('RIFF nothing'));
    const notice = page.getByRole('alertdialog').filter({ hasText: 'It holds no sound that can be read.' });
    await notice.getByText('broken.wav').waitFor();
    await notice.getByLabel('Dismiss').click();
    await notice.waitFor({ state: 'detached' });
  });
});

describe('the keyboard', () => {
  test('reaches every panel, the palette and the overview of shortcuts', async () => {
    await page.keyboard.press('Control+4');
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByPlaceholder('Search actions, conversations and models').fill('dark');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.evaluate(() => document.documentElement.dataset['theme'])).toBe('dark');
    await page.getByRole('dialog', { name: 'Command palette' }).waitFor({ state: 'detached' });
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.keyboard.press('Shift+?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ state: 'detached' });
    await page.keyboard.press('Control+1');
    await composer().waitFor();
  });

  test('changes the language for good', async () => {
    await page.keyboard.press('Control+6');
    await page.getByRole('combobox', { name: 'Language' }).click();
    await page.getByRole('option', { name: '简体中文' }).click();
    await page.getByRole('heading', { level: 1, name: '设置' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.reload();
    await page.getByRole('heading', { level: 1, name: '设置' }).waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-CN');
  });
});

test('no page broke its content policy, threw, or asked anything of anyone else', () => {
  expect(studio.faults).toEqual([]);
});
