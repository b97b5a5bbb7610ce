import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../main/engine/worker/text/template.ts';
import { loadTokenizer } from '../../../main/engine/worker/text/tokenizer.ts';
import { LoopDetector } from '../../../main/engine/worker/vision/loops.ts';
import { loadVisionTemplate, visionPrompt } from '../../../main/engine/worker/vision/prompt.ts';
import type { PromptPictures, SeenPicture } from '../../../main/engine/worker/vision/prompt.ts';

const golden = join(import.meta.dirname, '../../golden/vision');
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function promptOf(
  folder: string,
  pictures: PromptPictures,
  messages: readonly ChatMessage[],
): Promise<{ ids: number[]; encode: (text: string) => number[] }> {
  const path = join(golden, folder);
  const tokenizer = await loadTokenizer(path, 300);
  const template = await loadVisionTemplate(path, pictures.family, tokenizer);
  closing.push(() => template.dispose());
  const ids = await visionPrompt(messages, pictures, template, tokenizer);
  return { ids, encode: (text) => tokenizer.encodeParts([{ text, isTrusted: true }]) };
}

const whole = (count: number): SeenPicture[] =>
  Array.from({ length: count }, () => ({ rows: 0, columns: 0, isFrame: false }));
const ask: ChatMessage = { role: 'user', content: 'What is this?' };
const talk: ChatMessage[] = [ask, { role: 'assistant', content: 'A cat.' }, { role: 'user', content: 'Which colour?' }];

describe('pictures stand where the model was trained to see them', () => {
  test('EVLM: side by side before the first question, each with its media tokens', async () => {
    const pictures = { family: 'evlm', imageTokenId: 5, imageTokens: 3, pieces: 'none', seen: whole(2) } as const;
    const { ids, encode } = await promptOf('evlm-dense', pictures, talk);
    const before = encode('<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n');
    const after = encode(
      'What is this?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nWhich colour?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    );
    expect(ids).toEqual([...before, 5, 5, 5, 5, 5, 5, ...after]);
  });

  test('Llama 3.2 Vision: where its template puts it, right before the words', async () => {
    const pictures = { family: 'mllama', imageTokenId: 280, imageTokens: 1, pieces: 'none', seen: whole(1) } as const;
    const { ids, encode } = await promptOf('mllama-f32', pictures, [ask]);
    const before = encode('<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n');
    const after = encode('What is this?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n');
    expect(ids).toEqual([...before, 280, ...after]);
  });

  test('mPLUG-Owl3: one token each on a line before the words, after an empty system turn', async () => {
    const { ids, encode } = await promptOf(
      'mplugowl3-gated',
      { family: 'mplugowl3', imageTokenId: 262, imageTokens: 1, pieces: 'named', seen: whole(3) },
      [ask],
    );
    const before = encode('<|im_start|>system\n<|im_end|>\n<|im_start|>user\n');
    const after = encode('\nWhat is this?<|im_end|>\n<|im_start|>assistant\n');
    expect(ids).toEqual([...before, 262, 262, 262, ...after]);
  });

  test('mPLUG-Owl3 of 24-11-01: pieces on lines between marks, then the whole', async () => {
    const seen = [{ rows: 2, columns: 3, isFrame: false }, ...whole(1)];
    const pictures = { family: 'mplugowl3', imageTokenId: 262, imageTokens: 1, pieces: 'marked', seen } as const;
    const { ids, encode } = await promptOf('mplugowl3-joint', pictures, [ask]);
    const line = [262, ...encode(' '), 262, ...encode(' '), 262, ...encode('\n')];
    const places = [...encode('<|start_cut|>2*3\n'), ...line, ...line, 262, ...encode('<|end_cut|>'), 262];
    const before = encode('<|im_start|>system\n<|im_end|>\n<|im_start|>user\n');
    expect(ids).toEqual([...before, ...places, ...encode('\nWhat is this?<|im_end|>\n<|im_start|>assistant\n')]);
  });

  test('mPLUG-Owl3 of 24-11-01: the frames of a clip between marks of their own', async () => {
    const seen = whole(2).map((picture) => ({ ...picture, isFrame: true }));
    const pictures = { family: 'mplugowl3', imageTokenId: 262, imageTokens: 1, pieces: 'marked', seen } as const;
    const { ids, encode } = await promptOf('mplugowl3-joint', pictures, [ask]);
    const places = [...encode('<|start_video_frame|>'), 262, 262, ...encode('<|end_video_frame|>')];
    expect(ids.join(' ')).toContain(places.join(' '));
  });

  test('mPLUG-Owl3 of 24-07-28: pieces by name', async () => {
    const seen = [{ rows: 2, columns: 2, isFrame: false }];
    const pictures = { family: 'mplugowl3', imageTokenId: 262, imageTokens: 1, pieces: 'named', seen } as const;
    const { ids, encode } = await promptOf('mplugowl3-gated', pictures, [ask]);
    const places = [
      'Cut to 2 rows 2 columns with a global view\nsubimg(0,0)',
      ' subimg(0,1)',
      '\nsubimg(1,0)',
      ' subimg(1,1)',
      '\nglobal_view',
    ].flatMap((text) => [...encode(text), 262]);
    expect(ids.join(' ')).toContain(places.join(' '));
  });

  test.each([
    ['evlm-dense', { family: 'evlm', imageTokenId: 5, imageTokens: 3, pieces: 'none', seen: whole(0) }],
    ['mllama-f32', { family: 'mllama', imageTokenId: 280, imageTokens: 1, pieces: 'none', seen: whole(0) }],
  ] as const)('%s: without a picture there is no place for one', async (folder, pictures) => {
    const { ids } = await promptOf(folder, pictures, [ask]);
    expect(ids).not.toContain(280);
    expect(ids.join(' ')).not.toContain('5 5 5');
  });

  test('what a person writes cannot stand for a picture', async () => {
    const pictures = { family: 'mllama', imageTokenId: 280, imageTokens: 1, pieces: 'none', seen: whole(1) } as const;
    const { ids } = await promptOf('mllama-f32', pictures, [{ role: 'user', content: 'Is <|image|> a token?' }]);
    expect(ids.filter((id) => id === 280)).toHaveLength(1);
  });
});

describe('output that goes in circles', () => {
  const detected = (ids: readonly number[]): number => {
    const loops = new LoopDetector();
    return ids.findIndex((id) => loops.add(id));
  };
  const times = (count: number, ...ids: number[]): number[] => Array.from({ length: count }, () => ids).flat();

  test('is found, whatever the length of the circle', () => {
    expect(detected([1, 2, 3, ...times(40, 7)])).toBeGreaterThan(0);
    expect(detected([1, 2, 3, ...times(10, 7, 8, 9, 10, 11)])).toBeGreaterThan(0);
    expect(detected([1, ...times(6, ...Array.from({ length: 50 }, (_, n) => n + 100))])).toBeGreaterThan(0);
  });

  test('is not seen in lists, in emphasis, or in a refrain', () => {
    expect(detected([1, 2, 3, ...times(12, 7), 4])).toBe(-1);
    expect(detected(Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? 44 : n)))).toBe(-1);
    const verse = Array.from({ length: 20 }, (_, n) => n);
    expect(detected([...verse, 99, ...verse, 98, ...verse, 97])).toBe(-1);
  });

  test('what came before it is kept, with one round', () => {
    const loops = new LoopDetector();
    for (const id of [1, 2, 3, ...times(10, 7, 8, 9)]) if (loops.add(id)) break;
    expect(loops.sensible()).toBe(6);
  });
});
