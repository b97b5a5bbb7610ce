import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowance, demoModel } from '../fixtures/demos.ts';
import { repository, runLutra, temporaryFolder } from '../fixtures/host.ts';

/** Made by reference/train/evaluate_guide.py --sample; held-out questions, and what the card's whole run asks too. */
const questions = join(repository, 'tests/golden/guide/questions.jsonl');
const { path: model, isHere, fastSubset } = demoModel('lutra-guide');

interface Row {
  readonly kind: string;
  readonly turns: readonly string[];
  readonly wanted: readonly string[];
  readonly answers: readonly string[];
  readonly stopReasons: readonly string[];
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let rows: Row[];

const lastNumber = (text: string): string | undefined => text.match(/(?<![\d)])-?\d+/gu)?.at(-1);
const of = (kind: string): Row[] => rows.filter((row) => row.kind === kind);
const rightWordForWord = ({ answers, wanted }: Row): boolean => answers.every((answer, at) => answer === wanted[at]);

beforeAll(async () => {
  folder = await temporaryFolder();
  if (!isHere) return;
  const out = join(folder.path, 'answers.jsonl');
  const files = ['--model', model, '--questions', questions, '--out', out, '--data', join(folder.path, 'data')];
  const { code, stderr } = await runLutra(['eval', 'chat', ...files, '--max-tokens', '256', '--threads', '1']);
  if (code !== 0) throw new Error(`lutra eval chat ended with ${String(code)}: ${stderr}`);
  rows = (await readFile(out, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
});
afterAll(() => folder.remove());

describe.runIf(isHere)('the guide that comes with Lutra', () => {
  test('is small, and brings its card', async () => {
    const { size } = await stat(join(model, 'model.safetensors'));
    expect(size).toBeLessThan(20_000_000);
    expect(await readFile(join(model, 'README.md'), 'utf8')).toContain('held-out');
  });

  test.each(fastSubset)('still answers as it did when its card was written: %s', (kind, count) => {
    const asked = of(kind);
    const right = asked.filter((row) =>
      kind === 'sums'
        ? lastNumber(row.answers[0] ?? '') === row.wanted[0]
        : kind === 'free'
          ? row.stopReasons[0] === 'end'
          : rightWordForWord(row),
    );
    expect(right.length).toBeGreaterThanOrEqual(count - allowance(asked.length));
  });
});
