/**
 * How long the studio takes to open, by hand: `node bench/startup.ts` after `npm run build`.
 * Prints the median of some runs: process start to the printed address, and navigation to first paint.
 */
import { existsSync } from 'node:fs';
import { startHost, temporaryFolder } from '../tests/fixtures/host.ts';
import { launchBrowser, openStudio } from '../tests/e2e/browser.ts';

const runs = 7;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

if (!existsSync('out/main/headless.js')) throw new Error('Build first: npm run build');
const browser = await launchBrowser();
const ready: number[] = [];
const firstPaint: number[] = [];
for (let run = 0; run < runs; run += 1) {
  const folder = await temporaryFolder();
  const begun = performance.now();
  const host = await startHost(folder.path);
  ready.push(performance.now() - begun);
  const { page, context } = await openStudio(browser, await host.address());
  await page.getByRole('navigation').first().waitFor();
  const paint = await page.evaluate(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
  );
  firstPaint.push(paint);
  await context.close();
  await host.stop();
  await folder.remove();
}
await browser.close();
console.table({
  'host ready (ms)': { median: Math.round(median(ready)), worst: Math.round(Math.max(...ready)) },
  'first contentful paint (ms)': { median: Math.round(median(firstPaint)), worst: Math.round(Math.max(...firstPaint)) },
});
