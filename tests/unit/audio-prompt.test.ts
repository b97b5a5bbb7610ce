/** Prompts as T5's own tokenizer reads them: tests/golden/audio has its ids. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PromptEncoder } from '../../main/engine/worker/audio/prompt.ts';

const golden = join(import.meta.dirname, '../golden/audio');
const length = 16;

describe.each(['open-diffusers/tokenizer', 'open-single/t5-base', 'small-single/t5-base'])('%s', (folder) => {
  test('gives the ids of transformers, cut and filled up to the prompt length', async () => {
    const encoder = await PromptEncoder.load(join(golden, folder), length);
    const prompts = JSON.parse(await readFile(join(golden, folder, '../prompts.json'), 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    expect(prompts.length).toBeGreaterThan(10);
    for (const { text, ids } of prompts) {
      const encoded = encoder.encode(text);
      expect([text, [...encoded.ids]]).toEqual([text, [...ids, ...Array<number>(length - ids.length).fill(0)]]);
      expect([...encoded.mask].filter((one) => one === 1)).toHaveLength(ids.length);
    }
  });

  test('says what of a long prompt is not heard, and keeps the end mark', async () => {
    const encoder = await PromptEncoder.load(join(golden, folder), length);
    const encoded = encoder.encode(`${'rain '.repeat(30)}thunder`);
    expect(encoded.ids).toHaveLength(length);
    expect(encoded.ids.at(-1)).toBe(1);
    expect(encoded.cut).toContain('thunder');
    expect(encoder.encode('rain').cut).toBe('');
  });
});

test('a folder without a tokenizer is named', async () => {
  await expect(PromptEncoder.load(golden, length)).rejects.toThrow('tokenizer.json');
  await expect(PromptEncoder.load('', length)).rejects.toThrow('tokenizer.json');
});
