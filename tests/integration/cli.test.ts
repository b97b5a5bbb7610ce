import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineReport } from '../../contract/engine.ts';
import type { Model } from '../../contract/models.ts';
import { writeTinyGguf } from '../fixtures/gguf.ts';
import { runLutra, startHost, temporaryFolder } from '../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let models: string;
let tiny: string;
let data: readonly string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  models = join(folder.path, 'my models – 模型');
  await mkdir(models);
  tiny = join(models, 'tiny.gguf');
  await writeTinyGguf(tiny);
  await writeFile(join(models, 'cut.gguf'), (await readFile(tiny)).subarray(0, 2000));
  data = ['--data', join(folder.path, 'data')];
});
afterAll(() => folder.remove());

describe('the lutra command', () => {
  test('used wrongly, it says how and exits with 2', async () => {
    for (const args of [
      [],
      ['sing'],
      ['chat'],
      ['chat', '--model', 'm'],
      ['serve', '--port', '70000'],
      ['models', 'add'],
    ]) {
      const { code, stdout, stderr } = await runLutra(args);
      expect([args, code, stdout]).toEqual([args, 2, '']);
      expect(stderr.length).toBeGreaterThan(0);
    }
  });

  test('--help and --version exit with 0', async () => {
    expect((await runLutra(['--help'])).code).toBe(0);
    expect((await runLutra(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('doctor --json prints JSON alone, with a passing self-test', async () => {
    const { code, stdout } = await runLutra(['doctor', '--json', ...data]);
    const found = JSON.parse(stdout) as { engine: { report: EngineReport } };
    expect(found.engine.report.selfTest).toMatchObject({ ok: true });
    expect(found.engine.report.devices.map(({ backend }) => backend)).toContain('cpu');
    expect(code).toBe(0);
  });

  test('models add lists the good ones and the broken one with its reason, and models remembers them', async () => {
    const added = await runLutra(['models', 'add', models, '--json', ...data]);
    expect(added.code).toBe(0);
    const listed = JSON.parse((await runLutra(['models', '--json', ...data])).stdout) as Model[];
    const states = Object.fromEntries(listed.map((model) => [model.location.split(/[/\\]/).at(-1), model.status]));
    expect(states).toEqual({ 'tiny.gguf': 'ready', 'cut.gguf': 'broken' });
    expect(listed.find(({ status }) => status === 'broken')?.problem?.message).toContain('cut.gguf');
    expect((await runLutra(['models', ...data])).stdout).toContain('tiny');
  });

  test('chat gives the same answer for the same seed', async () => {
    const ask = ['chat', '--model', tiny, '--prompt', 'Hello', '--max-tokens', '12', '--seed', '7', '--json', ...data];
    const [first, second] = [await runLutra(ask), await runLutra(ask)];
    expect([first.code, first.stderr]).toEqual([0, '']);
    const answer = JSON.parse(first.stdout) as { text: string; seed: number; stats: { generatedTokens: number } };
    expect(answer.seed).toBe(7);
    expect(answer.stats.generatedTokens).toBeGreaterThan(0);
    expect((JSON.parse(second.stdout) as { text: string }).text).toBe(answer.text);
  });

  test('chat reads the prompt from stdin and streams to stdout', async () => {
    const args = ['chat', '--model', tiny, '--prompt', '-', '--max-tokens', '8', '--temperature', '0', ...data];
    const { code, stdout, stderr } = await runLutra(args, { input: 'Hello from a pipe' });
    expect(code).toBe(0);
    expect(stdout.endsWith('\n')).toBe(true);
    expect(stderr).toMatch(/tokens\/s/);
  });

  test('an unknown model and a broken one exit with 1 and name it', async () => {
    const unknown = await runLutra(['chat', '--model', 'nobody', '--prompt', 'Hi', ...data]);
    expect([unknown.code, unknown.stdout]).toEqual([1, '']);
    expect(unknown.stderr).toContain('nobody');
    const broken = await runLutra(['chat', '--model', join(models, 'cut.gguf'), '--prompt', 'Hi', '--json', ...data]);
    expect([broken.code, broken.stdout]).toEqual([1, '']);
    expect(broken.stderr).toContain('cut.gguf');
  });

  test('an empty prompt and an empty file are refused', async () => {
    expect((await runLutra(['chat', '--model', tiny, '--prompt', ' ', ...data])).code).toBe(2);
    const empty = join(models, 'empty.gguf');
    await writeFile(empty, '');
    await truncate(empty, 0);
    const { code, stderr } = await runLutra(['chat', '--model', empty, '--prompt', 'Hi', ...data]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('empty.gguf')]);
  });

  test('a second studio on one data folder says so, and the first goes on', async () => {
    const host = await startHost(data[1] ?? '');
    try {
      const { code, stderr } = await runLutra(['models', ...data]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/another|already/i);
      const answer = await fetch(await host.address(), { redirect: 'manual' });
      expect(answer.status).toBe(303);
    } finally {
      await host.stop();
    }
  });
});
