/** The packaged thing as a person has it: Electron itself, on the built files. Needs Electron's binary. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { _electron } from 'playwright-core';
import type { ElectronApplication, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accessibilityViolations } from '../e2e/browser.ts';
import { writeTinyGguf } from '../fixtures/gguf.ts';
import { repository, temporaryFolder } from '../fixtures/host.ts';

const electronFolder = join(repository, 'node_modules/electron');
const pathFile = join(electronFolder, 'path.txt');
const binary = existsSync(pathFile) ? join(electronFolder, 'dist', readFileSync(pathFile, 'utf8')) : null;
const isBinaryThere = binary !== null && existsSync(binary);
const hasDisplay =
  process.platform !== 'linux' || (process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']) !== undefined;

const reason = !isBinaryThere
  ? 'Electron’s binary is not there (node_modules/electron/dist)'
  : !hasDisplay
    ? 'there is no display (run under xvfb-run)'
    : null;
if (reason !== null) {
  process.stderr.write(
    `\nSKIPPED: the tests in Electron itself, because ${reason}.\n` +
      'The sandbox flags, fuses, native menus and the MessagePort hand-over are not covered by this run.\n\n',
  );
}

describe.skipIf(reason !== null)('the studio in Electron', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let app: ElectronApplication;
  let page: Page;
  const faults: string[] = [];

  const launch = async (...files: string[]): Promise<void> => {
    app = await _electron.launch({
      executablePath: binary ?? '',
      // Chromium's sandbox does not start for root; everything else is as shipped.
      args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), repository, ...files],
      env: { ...(process.env as Record<string, string>), LUTRA_DATA: join(folder.path, 'data') },
    });
    page = await app.firstWindow();
    page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy/i.test(message.text())) faults.push(`policy: ${message.text()}`);
    });
  };
  const stats = (): ReturnType<Page['locator']> => page.getByText(/tok\/s · first token after/);

  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeTinyGguf(join(folder.path, 'tiny 水獭.gguf'));
    await launch();
  });
  afterAll(async () => {
    await app.close();
    await folder.remove();
  });

  test('a new user is told what to do first', async () => {
    await page.getByRole('heading', { name: 'Add a model to begin' }).waitFor();
    expect(await accessibilityViolations(page)).toEqual([]);
  });

  test('the page lives on our own scheme and has two doors, and nothing of Node', async () => {
    expect(new URL(page.url()).href).toMatch(/^app:\/\/studio\//);
    const found = await page.evaluate(() => ({
      doors: Object.keys((window as unknown as { lutra: object }).lutra).toSorted(),
      node: ['require', 'process', 'module', 'Buffer', 'global'].filter((name) => name in window),
    }));
    expect(found).toEqual({ doors: ['grantFor', 'host'], node: [] });
  });

  test('the page reaches neither the network nor the disk', async () => {
    const reached = await page.evaluate(async () => {
      const addresses = ['http://127.0.0.1:9/', 'file:///etc/passwd', 'media://grant/none', 'app://other/index.html'];
      const tries = addresses.map((address) =>
        fetch(address).then(
          (answer) => answer.ok,
          () => false,
        ),
      );
      return (await Promise.all(tries)).some(Boolean);
    });
    expect(reached).toBe(false);
    // Those were asked for on purpose.
    faults.length = 0;
  });

  test('no window opens and no other page', async () => {
    const address = page.url();
    await app.evaluate(({ dialog }) => {
      dialog.showMessageBox = () => Promise.resolve({ response: 0, checkboxChecked: false });
    });
    expect(await page.evaluate(() => window.open('https://example.org/') === null)).toBe(true);
    await page.evaluate(() => window.location.assign('https://example.org/'));
    expect(app.windows()).toHaveLength(1);
    expect(page.url()).toBe(address);
  });

  test('a model opened with the studio chats, and the chat is found after a restart', async () => {
    await app.close();
    await launch(join(folder.path, 'tiny 水獭.gguf'));
    await page.getByText('tiny 水獭').first().waitFor();
    await page.getByRole('navigation', { name: 'Panels' }).getByRole('button', { name: 'Chat', exact: true }).click();
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('Tell me of the river.');
    await page.keyboard.press('Enter');
    await stats().waitFor();
    await app.close();
    await launch();
    await page.getByText('Tell me of the river.').first().click();
    await stats().waitFor();
  });

  test('nothing was against the policy, nothing was thrown', () => expect(faults).toEqual([]));
});
