import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChatTemplate, loadTemplate } from '../../main/engine/worker/text/template.ts';
import { loadTokenizer, TextStream } from '../../main/engine/worker/text/tokenizer.ts';
import { ThoughtTags } from '../../main/engine/worker/thoughts.ts';

const golden = join(import.meta.dirname, '../golden/tokenizers');
const kinds = ['llama3-like', 'qwen-like', 'llama2-like'];
const large = 1_000_000;

interface Expected {
  texts: { text: string; ids: number[]; decoded: string }[];
  chats: { messages: { role: 'system' | 'user' | 'assistant'; content: string }[]; text: string; ids: number[] }[];
}

const expectedOf = async (kind: string): Promise<Expected> =>
  JSON.parse(await readFile(join(golden, kind, 'expected.json'), 'utf8')) as Expected;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lutra-tokenizer-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each(kinds)('a %s tokenizer', (kind) => {
  it('gives the ids and the text that transformers gives', async () => {
    const tokenizer = await loadTokenizer(join(golden, kind), large);
    const { texts } = await expectedOf(kind);
    for (const { text, ids, decoded } of texts) {
      expect(tokenizer.encode(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
    expect(texts.length).toBeGreaterThan(10);
  });

  it('streams pieces that join to the whole and never split a character', async () => {
    const tokenizer = await loadTokenizer(join(golden, kind), large);
    for (const { ids, decoded } of (await expectedOf(kind)).texts) {
      const stream = tokenizer.stream();
      const pieces = ids.map((id) => stream.add(id));
      expect(pieces.join('') + stream.end()).toBe(decoded);
      for (const piece of pieces) {
        expect(piece).not.toContain('\uFFFD');
        expect(piece.isWellFormed()).toBe(true);
      }
    }
  });

  it('renders and encodes chats as transformers does', async () => {
    const tokenizer = await loadTokenizer(join(golden, kind), large);
    const template = await loadTemplate(join(golden, kind), tokenizer);
    const { chats } = await expectedOf(kind);
    for (const { messages, text, ids } of chats) {
      const parts = await template.render(messages);
      expect(parts.map((part) => part.text).join('')).toBe(text);
      expect(tokenizer.encodePrompt(parts)).toEqual(ids);
    }
    template.dispose();
    expect(chats.length).toBeGreaterThan(1);
  });
});

it('special tokens that a person types stay text', async () => {
  const tokenizer = await loadTokenizer(join(golden, 'llama3-like'), large);
  const template = await loadTemplate(join(golden, 'llama3-like'), tokenizer);
  const end = tokenizer.encode('<|eot_id|>').at(-1) ?? -1;
  expect(tokenizer.endIds.has(end)).toBe(true);
  const ids = tokenizer.encodePrompt(await template.render([{ role: 'user', content: 'a<|eot_id|>b' }]));
  expect(ids.filter((id) => id === end)).toHaveLength(1);
  expect(tokenizer.decode(ids)).toContain('a<|eot_id|>b');
  template.dispose();
});

it('a template that takes no system prompt gets it in the first message', async () => {
  const tokenizer = await loadTokenizer(join(golden, 'llama2-like'), large);
  const template = await loadTemplate(join(golden, 'llama2-like'), tokenizer);
  const parts = await template.render([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
  ]);
  expect(parts.map(({ text }) => text).join('')).toBe('<s>[INST] Be brief.\n\nHello [/INST]');
  template.dispose();
});

it('a template that does not end is ended, and the next one works', async () => {
  const endless = new ChatTemplate({
    path: 'chat_template.jinja',
    source: '{% for a in range(100000) %}{% for b in range(100000) %}{{ "" }}{% endfor %}{% endfor %}',
    variables: {},
    timeLimitMs: 300,
  });
  await expect(endless.render([{ role: 'user', content: 'x' }])).rejects.toThrow('does not end');
  const fine = new ChatTemplate({ path: 'x', source: '{{ messages[0].content }}!', variables: {} });
  expect((await fine.render([{ role: 'user', content: 'x' }])).map(({ text }) => text).join('')).toBe('x!');
  fine.dispose();
});

it('a template ends late on a busy machine without being blamed', async () => {
  const template = new ChatTemplate({
    path: 'x',
    source: '{{ messages[0].content }}!',
    variables: {},
    timeLimitMs: 1000,
  });
  const rendered = template.render([{ role: 'user', content: 'x' }]);
  // Nothing here runs for longer than the limit, as when others have the processor: its end is heard of too late.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
  expect((await rendered).map(({ text }) => text).join('')).toBe('x!');
  template.dispose();
});

it('a template that throws, or is none, says so', async () => {
  for (const [source, part] of [
    ["{{ raise_exception('Roles must alternate') }}", 'Roles must alternate'],
    ['{% if %}', 'chat template'],
  ] as const) {
    const template = new ChatTemplate({ path: '/m/chat_template.jinja', source, variables: {} });
    await expect(template.render([{ role: 'user', content: 'x' }])).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining(part) as string,
    });
    template.dispose();
  }
});

it('a model without a template gets a plain one', async () => {
  const template = await loadTemplate(folder, { bosToken: '', eosToken: '' });
  expect(template.isFallback).toBe(true);
  const parts = await template.render([{ role: 'user', content: 'Hi' }]);
  expect(parts.map(({ text }) => text).join('')).toBe('User: Hi\nAssistant:');
  template.dispose();
});

describe('what is refused by name', () => {
  it.each([
    ['a missing tokenizer', (): Promise<void> => Promise.resolve(), 'tokenizer.json: it is missing'],
    [
      'only tokenizer.model',
      (): Promise<void> => writeFile(join(folder, 'tokenizer.model'), 'x'),
      'only tokenizer.model',
    ],
    ['what is no JSON', (): Promise<void> => writeFile(join(folder, 'tokenizer.json'), '{'), 'tokenizer.json'],
    [
      'a tokenizer of no known kind',
      (): Promise<void> => writeFile(join(folder, 'tokenizer.json'), '{"model":{"type":"No"}}'),
      'cannot be used',
    ],
  ] as const)('%s', async (_what, prepare, part) => {
    await prepare();
    await expect(loadTokenizer(folder, large)).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining(part) as string,
    });
  });

  it('a tokenizer with more ids than the model has tokens', async () => {
    await cp(join(golden, 'qwen-like'), folder, { recursive: true });
    await expect(loadTokenizer(folder, 100)).rejects.toThrow('the model only 100 tokens');
  });
});

it('a stream holds back the bytes of an unfinished character', () => {
  const bytes: number[] = [...Buffer.from('a獭b')];
  const stream = new TextStream((ids) =>
    Buffer.from(ids)
      .toString('utf8')
      .replace(/\uFFFD+$/, '\uFFFD'),
  );
  expect(bytes.map((byte) => stream.add(byte))).toEqual(['a', '', '', '獭', 'b']);
});

describe('thoughts between tags', () => {
  const read = (begins: boolean, pieces: string[]): string => {
    const tags = new ThoughtTags(begins);
    return [...pieces.flatMap((piece) => tags.add(piece)), ...tags.end()]
      .map(({ isThought, text }) => (isThought ? `(${text})` : text))
      .join('');
  };
  it('are told apart even when a tag comes in pieces', () => {
    expect(read(false, ['<th', 'ink>\nhm', '</', 'think>', '\n\nYes'])).toBe('(hm)Yes');
    expect(read(true, ['hm</think>Yes'])).toBe('(hm)Yes');
  });
  it('what only looks like a tag is text', () => {
    expect(read(false, ['a <', 'b> c <thin'])).toBe('a <b> c <thin');
  });
});
