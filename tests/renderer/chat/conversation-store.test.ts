import { describe, expect, test } from 'vitest';
import { defaultSampler } from '../../../contract/chat.ts';
import type { Conversation, ConversationEvent, Message } from '../../../contract/chat.ts';
import { emptyState, reduce } from '../../../renderer/chat/conversation-store.ts';
import type { ConversationState } from '../../../renderer/chat/conversation-store.ts';
import { readDraft, writeDraft } from '../../../renderer/chat/drafts.ts';

const conversation: Conversation = {
  id: 'c',
  title: 'A chat',
  modelId: null,
  systemPrompt: '',
  sampler: defaultSampler,
  contextSize: null,
  activeLeafId: 'b',
  messageCount: 2,
  isAnswering: true,
  createdAt: 1,
  updatedAt: 1,
};

function message(id: string, text: string, status: Message['status'] = 'complete'): Message {
  return {
    id,
    conversationId: 'c',
    parentId: null,
    role: 'assistant',
    text,
    status,
    error: null,
    modelName: 'm',
    stats: null,
    siblingIds: [id],
    createdAt: 1,
  };
}

const delta = (offset: number, text: string): ConversationEvent => ({
  type: 'delta',
  messageId: 'b',
  offset,
  text,
  tokensPerSecond: 1,
});

function after(...events: ConversationEvent[]): ConversationState {
  return events.reduce(reduce, emptyState);
}

const snapshot: ConversationEvent = {
  type: 'snapshot',
  conversation,
  path: [message('a', 'Hi'), message('b', 'One', 'answering')],
};

describe('what is shown of a conversation', () => {
  test('pieces are joined by their offset: one that comes twice, or overlaps, changes nothing', () => {
    expect(after(snapshot, delta(3, ' two')).live?.text).toBe('One two');
    expect(after(snapshot, delta(3, ' two'), delta(3, ' two')).live?.text).toBe('One two');
    expect(after(snapshot, delta(3, ' tw'), delta(3, ' two three')).live?.text).toBe('One two three');
  });

  test('a snapshot in mid-answer, after a reload or a reconnect, goes on where it is', () => {
    const state = after(snapshot, delta(3, ' two'), snapshot, delta(3, ' two three'));
    expect(state.live).toMatchObject({ messageId: 'b', text: 'One two three' });
  });

  test('the list itself does not change while text streams in', () => {
    const before = after(snapshot);
    expect(reduce(before, delta(3, ' two')).path).toBe(before.path);
  });

  test('the end puts the finished message in its place and is counted once', () => {
    const state = after(snapshot, delta(3, ' two'), {
      type: 'message',
      message: message('b', 'One two'),
      conversation: { ...conversation, isAnswering: false },
    });
    expect(state.live).toBeNull();
    expect(state.path[1]).toMatchObject({ text: 'One two', status: 'complete' });
    expect(state.endedAnswers).toBe(1);
    expect(state.conversation?.isAnswering).toBe(false);
  });

  test('a stage ends with the first word', () => {
    const stage: ConversationEvent = {
      type: 'stage',
      messageId: 'b',
      stage: { stage: 'loading', fraction: 0.5, etaSeconds: 2 },
    };
    expect(after(snapshot, stage).stage?.stage.stage).toBe('loading');
    expect(after(snapshot, stage, delta(3, 'x')).stage).toBeNull();
  });
});

describe('a draft', () => {
  test('belongs to its conversation', () => {
    writeDraft('one', 'text');
    writeDraft(null, 'new text');
    expect([readDraft('one'), readDraft(null), readDraft('two')]).toEqual(['text', 'new text', '']);
    writeDraft('one', '');
    expect(readDraft('one')).toBe('');
  });
});
