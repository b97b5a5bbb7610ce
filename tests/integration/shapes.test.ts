import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowance, demoModel } from '../fixtures/demos.ts';
import { repository, runLutra, temporaryFolder } from '../fixtures/host.ts';
import { canRun } from '../fixtures/programs.ts';

/** Made by reference/train/evaluate_shapes.py --sample; held-out scenes in PNG, JPEG and MP4, with what is right for each. */
const files = join(repository, 'tests/golden/shapes');
const { path: model, isHere, fastSubset } = demoModel('lutra-shapes');
const hasFfmpeg = canRun('ffmpeg') && canRun('ffprobe');
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let asked: string[];
let right: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  if (!isHere) return;
  asked = (await readdir(files)).filter(
    (name) => name.startsWith('pictures') || (name.startsWith('clips') && hasFfmpeg),
  );
  const args = ['--model', model, '--out', folder.path, '--data', join(folder.path, 'data'), '--json'];
  const { code, stdout, stderr } = await runLutra(['caption', ...asked.map((name) => join(files, name)), ...args]);
  if (code !== 0) throw new Error(`lutra caption ended with ${String(code)}: ${stderr}`);
  const wanted = JSON.parse(await readFile(join(files, 'wanted.json'), 'utf8')) as Record<string, string[]>;
  const { items } = JSON.parse(stdout) as { items: { file: string; caption: string }[] };
  right = items
    .map(({ file, caption }) => ({ name: file.slice(files.length + 1), caption }))
    .filter(({ name, caption }) => wanted[name]?.includes(caption) === true)
    .map(({ name }) => name);
});
afterAll(() => folder.remove());

describe.runIf(isHere)('the model for captions that comes with Lutra', () => {
  test('is small, and brings its card', async () => {
    const { size } = await stat(join(model, 'model.safetensors'));
    expect(size).toBeLessThan(20_000_000);
    expect(await readFile(join(model, 'README.md'), 'utf8')).toContain('kept apart');
  });

  test.each(fastSubset)('still captions as when its card was written: %s', (kind, count) => {
    // Without ffmpeg, clips are for the window alone.
    if (kind === 'clips' && !hasFfmpeg) return;
    const isOfKind = (name: string): boolean => name.startsWith(kind);
    expect(right.filter(isOfKind).length).toBeGreaterThanOrEqual(count - allowance(asked.filter(isOfKind).length));
  });
});
