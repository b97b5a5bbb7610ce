/** What quantizing costs, on a small model that has learned something (reference/text/train_tiny.py). */
import { spawn } from 'node:child_process';
import { access, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QuantizeRun } from '../../main/engine/protocol.ts';
import { repository, temporaryFolder } from '../fixtures/host.ts';
import { openStudio } from '../fixtures/studio.ts';
import type { OpenStudio } from '../fixtures/studio.ts';

const trained = join(import.meta.dirname, '../golden/trained');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let open: OpenStudio;
let copies = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  open = await openStudio(join(folder.path, 'data'));
});
afterAll(async () => {
  await open.close();
  await folder.remove();
});

async function perplexity(path: string, precision: 'exact' | 'fast'): Promise<number> {
  const request = { path, textPath: join(trained, 'held-out.txt'), windowTokens: 256, precision, threads: 2 };
  for await (const { result } of open.studio.engine.perplexity(request)) {
    if (result !== null) return result.perplexity;
  }
  throw new Error('There was no result.');
}

async function quantized(options: Pick<QuantizeRun, 'bits' | 'table' | 'calibrationPath'>): Promise<string> {
  copies += 1;
  const destination = join(folder.path, `copy-${copies}`);
  const run = { ...options, source: trained, destination, groupSize: 64, skip: [], threads: 2 };
  for await (const { report } of open.studio.engine.quantize(run)) {
    if (report !== null) expect(report.tensors).toHaveLength(21);
  }
  return destination;
}

describe('on a trained model', () => {
  test('the fast mode costs less than 0.3 % of perplexity', async () => {
    const exact = await perplexity(trained, 'exact');
    expect(exact).toBeLessThan(20);
    expect(Math.abs((await perplexity(trained, 'fast')) / exact - 1)).toBeLessThan(0.003);
  });

  test.each([4, 3, 2])('at %i bits a learned table beats NormalFloat, and calibration beats that', async (bits) => {
    const nf = await quantized({ bits, table: 'nf', calibrationPath: null });
    const learned = await quantized({ bits, table: 'learned', calibrationPath: null });
    const calibrated = await quantized({ bits, table: 'learned', calibrationPath: join(trained, 'calibration.txt') });
    const [worst, middle, best] = [
      await perplexity(nf, 'exact'),
      await perplexity(learned, 'exact'),
      await perplexity(calibrated, 'exact'),
    ];
    expect(middle).toBeLessThan(worst);
    expect(best).toBeLessThan(middle);
    expect(Math.abs((await perplexity(learned, 'fast')) / middle - 1)).toBeLessThan(0.003);
  });
});

describe('lutra quantize', () => {
  const runLutra = (args: readonly string[]): ReturnType<typeof spawn> =>
    spawn(process.execPath, [join(repository, 'bin/lutra.mjs'), ...args, '--data', join(folder.path, 'cli')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const over = (child: ReturnType<typeof spawn>): Promise<number | null> =>
    new Promise((resolve) => child.once('close', resolve));

  test('goes on after it was killed, and gives the same bytes', async () => {
    const whole = join(folder.path, 'whole');
    const broken = join(folder.path, 'broken');
    const args = ['--bits', '3', '--json'];
    expect(await over(runLutra(['quantize', trained, whole, ...args]))).toBe(0);
    const first = runLutra(['quantize', trained, broken, ...args]);
    const end = over(first);
    for (;;) {
      const isBegun = await access(`${broken}.part`).then(
        () => true,
        () => false,
      );
      if (isBegun || first.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    first.kill('SIGINT');
    await end;
    await over(runLutra(['quantize', trained, broken, ...args]));
    for (const name of await readdir(whole))
      expect((await readFile(join(broken, name))).equals(await readFile(join(whole, name)))).toBe(true);
  });

  test('says what is wrong', async () => {
    const child = runLutra(['quantize', folder.path, join(folder.path, 'nothing')]);
    let said = '';
    child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    expect(await over(child)).toBe(1);
    expect(said).toContain('config.json');
  });
});
