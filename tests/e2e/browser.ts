/** One Chromium for a test file, and pages that report what must never happen. */
import { AxeBuilder } from '@axe-core/playwright';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function launchBrowser(): Promise<Browser> {
  const executablePath = process.env['LUTRA_CHROMIUM'] ?? candidates.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('No Chromium was found. On Debian: apt-get install chromium');
  return chromium.launch({
    executablePath,
    // Without it a bare machine's locale turns names of downloads into "download".
    env: { ...process.env, LANG: 'C.UTF-8' },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface StudioPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Violations of the content security policy, uncaught errors, and requests to anywhere else. */
  readonly faults: readonly string[];
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: 'light' | 'dark';
  readonly locale?: string;
}

/** Opens `address` in a new context, which is a browser of its own: no cookies, no storage. */
export async function openStudio(browser: Browser, address: string, options: PageOptions = {}): Promise<StudioPage> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.colorScheme ?? 'light',
    locale: options.locale ?? 'en-US',
    reducedMotion: 'reduce',
  });
  const faults: string[] = [];
  return { page: await openPage(context, address, faults), context, faults };
}

/** Another window of the same browser. */
export async function openPage(context: BrowserContext, address: string, faults: string[]): Promise<Page> {
  const page = await context.newPage();
  const { origin } = new URL(address);
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(`policy: ${message.text().slice(0, 200)}`);
  });
  page.on('request', (request) => {
    const { protocol, origin: target } = new URL(request.url());
    if (/^(https?|wss?):$/.test(protocol) && target.replace(/^ws/, 'http') !== origin) {
      faults.push(`request to ${request.url()}`);
    }
  });
  await page.goto(address);
  return page;
}

/** What axe finds on the present screen, one line each. */
/** Without axe's copies of style sheets: making them would break the page's own policy. */
export async function accessibilityViolations(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).options({ preload: false }).analyze();
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')} ${node.html}`));
}
