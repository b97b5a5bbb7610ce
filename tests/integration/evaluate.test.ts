import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository, runLutra, temporaryFolder } from '../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

const golden = (name: string): string => join(repository, 'tests/golden/text', name);
const at = (name: string): string => join(folder.path, name);

interface Npy {
  readonly header: string;
  readonly data: Buffer;
}

function parseNpy(file: Uint8Array): Npy {
  const bytes = Buffer.from(file);
  const start = 10 + bytes.readUInt16LE(8);
  return { header: bytes.toString('latin1', 10, start), data: bytes.subarray(start) };
}

function floats({ data }: Npy): Float32Array {
  return new Float32Array(Uint8Array.from(data).buffer);
}

/** What transformers gave, and for which tokens. */
async function expected(name: string): Promise<{ tokens: number[]; logits: Float32Array }> {
  const entries = unzipSync(await readFile(join(golden(name), 'expected.npz')));
  const tokens = parseNpy(entries['tokens.npy'] ?? new Uint8Array());
  return {
    tokens: [...new Int32Array(Uint8Array.from(tokens.data).buffer)],
    logits: floats(parseNpy(entries['logits.npy'] ?? new Uint8Array())),
  };
}

async function evaluate(model: string, tokens: unknown): Promise<Awaited<ReturnType<typeof runLutra>>> {
  await writeFile(at('tokens.json'), typeof tokens === 'string' ? tokens : JSON.stringify(tokens));
  const files = ['--tokens', at('tokens.json'), '--out', at('logits.npy')];
  return runLutra(['eval', 'logits', '--model', model, ...files, '--json', '--data', at('data')]);
}

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

describe('lutra eval logits', () => {
  test.each(['llama-bnb-nf4', 'llama32-bf16', 'qwen3-bf16'])('writes what transformers gives for %s', async (name) => {
    const { tokens, logits } = await expected(name);
    const { code, stdout, stderr } = await evaluate(golden(name), tokens);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ tokens: tokens.length, vocabSize: 160 });
    const written = parseNpy(await readFile(at('logits.npy')));
    expect(written.header).toContain(`'shape': (${tokens.length}, 160)`);
    const values = floats(written);
    expect(values.length).toBe(logits.length);
    const range = Math.max(...logits) - Math.min(...logits);
    const worst = values.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - (logits[index] ?? Number.NaN))),
      0,
    );
    expect(worst / range).toBeLessThan(1e-4);
  });

  test.each([
    ['a token outside the vocabulary', 'llama-bnb-nf4', [1, 160], 'Token 160'],
    ['tokens that are no list', 'llama-bnb-nf4', { a: 1 }, 'no array of token ids'],
    ['a file that is no JSON', 'llama-bnb-nf4', '{', 'not valid JSON'],
    ['a folder that is no model', '..', [1], 'config.json'],
    ['nothing at all', 'nobody', [1], 'no model'],
  ])('says what is wrong: %s', async (_name, model, tokens, why) => {
    const path = model === 'nobody' ? model : golden(model);
    const { code, stdout, stderr } = await evaluate(path, tokens);
    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(why);
  });
});

describe('lutra eval chat', () => {
  const model = join(repository, 'tests/golden/trained');
  const ask = async (lines: string, out: string): Promise<Awaited<ReturnType<typeof runLutra>>> => {
    await writeFile(at('questions.jsonl'), lines);
    const files = ['--questions', at('questions.jsonl'), '--out', at(out)];
    return runLutra([
      'eval',
      'chat',
      '--model',
      model,
      ...files,
      '--max-tokens',
      '8',
      '--threads',
      '1',
      '--data',
      at('data'),
    ]);
  };

  test('answers every turn of every conversation, the same each time, and hands other fields on', async () => {
    const lines = '{"turns":["What is a token?","And a table?"],"key":7}\n\n{"turns":["Why?"],"system":"Be brief."}\n';
    for (const out of ['answers.jsonl', 'again.jsonl']) {
      expect(await ask(lines, out)).toMatchObject({ code: 0, stderr: '' });
    }
    const written = (await readFile(at('answers.jsonl'), 'utf8')).trim().split('\n');
    const [first, second] = written.map((line) => JSON.parse(line) as { answers: string[]; key?: number });
    expect(first).toMatchObject({ key: 7, turns: ['What is a token?', 'And a table?'] });
    expect([first?.answers.length, second?.answers.length]).toEqual([2, 1]);
    expect(first?.answers.every((answer) => answer.length > 0)).toBe(true);
    expect(await readFile(at('again.jsonl'), 'utf8')).toBe(await readFile(at('answers.jsonl'), 'utf8'));
  });

  test('names the line that is no conversation, and a file without any', async () => {
    const broken = await ask('{"turns":["Fine."]}\n{"turns":[]}\n', 'none.jsonl');
    expect(broken).toMatchObject({ code: 1 });
    expect(broken.stderr).toContain('Line 2 of');
    expect((await ask('\n', 'none.jsonl')).code).toBe(2);
  });
});
