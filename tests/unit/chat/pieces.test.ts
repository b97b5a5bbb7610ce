import { describe, expect, test } from 'vitest';
import type { ConversationEvent } from '../../../contract/chat.ts';
import { historyOf } from '../../../main/chat/answers.ts';
import { snippetOf } from '../../../main/chat/search.ts';
import { Watcher } from '../../../main/chat/watchers.ts';
import { ThoughtQuoter, withoutThoughts } from '../../../main/engine/worker/thoughts.ts';

describe('a slow reader', () => {
  test('gets pieces run together, in order, with nothing missing', async () => {
    const watcher = new Watcher();
    const pieces = ['one ', 'two ', 'three'];
    let offset = 0;
    for (const text of pieces) {
      watcher.push({ type: 'delta', messageId: 'm', offset, text, tokensPerSecond: 1 });
      offset += text.length;
    }
    watcher.push({ type: 'gone' });
    const events: ConversationEvent[] = [];
    for await (const event of watcher.read(new AbortController().signal)) events.push(event);
    expect(events).toEqual([
      { type: 'delta', messageId: 'm', offset: 0, text: 'one two three', tokensPerSecond: 1 },
      { type: 'gone' },
    ]);
  });
});

describe('the history of an answer', () => {
  test('alternates: empty answers are left out and what then meets is joined', () => {
    const history = historyOf([
      { role: 'user', text: 'a' },
      { role: 'assistant', text: '' },
      { role: 'user', text: 'b' },
      { role: 'assistant', text: 'c' },
    ]);
    expect(history).toEqual([
      { role: 'user', text: 'a\n\nb' },
      { role: 'assistant', text: 'c' },
    ]);
  });
});

describe('a snippet', () => {
  test('shows the first match with its surroundings, every match marked', () => {
    const text = `${'word '.repeat(40)}needle and another Needle ${'tail '.repeat(40)}`;
    const pieces = snippetOf(text, ['needle']);
    expect(pieces[0]).toEqual({ text: '…', match: false });
    expect(pieces.filter(({ match }) => match).map((piece) => piece.text)).toEqual(['needle', 'Needle']);
    expect(pieces.map((piece) => piece.text).join('').length).toBeLessThan(170);
  });

  test('takes signs literally', () => {
    expect(snippetOf('costs $5 (five)', ['$5', '(five)']).filter(({ match }) => match)).toHaveLength(2);
  });
});

describe('the thoughts of a model', () => {
  test('are quoted, and taken out again before it reads its own answer', () => {
    const quoter = new ThoughtQuoter();
    const text =
      quoter.add(true, 'first\nsecond') + quoter.add(true, ' more') + quoter.add(false, 'The answer.') + quoter.end();
    expect(text).toBe('> first\n> second more\n\nThe answer.');
    expect(withoutThoughts(text)).toBe('The answer.');
    expect(withoutThoughts('> only a quotation')).toBe('> only a quotation');
  });
});
