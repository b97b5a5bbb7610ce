/** What is shown of one conversation, built from `chat.watch`. Text that streams in is kept apart from the list. */
import { createContext, useContext, useEffect, useState } from 'react';
import { useStore } from 'zustand';
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import type { AnswerStage, Conversation, ConversationEvent, Message } from '../../contract/chat.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { useStream } from '../client/context.tsx';

export interface ConversationState {
  readonly conversation: Conversation | null;
  readonly path: readonly Message[];
  /** The answer in the making: its text so far. */
  readonly live: { readonly messageId: string; readonly text: string; readonly tokensPerSecond: number } | null;
  readonly stage: { readonly messageId: string; readonly stage: AnswerStage } | null;
  /** Answers that ended while they were watched: told to screen readers. */
  readonly endedAnswers: number;
  readonly isGone: boolean;
  readonly error: ErrorData | null;
}

export const emptyState: ConversationState = {
  conversation: null,
  path: [],
  live: null,
  stage: null,
  endedAnswers: 0,
  isGone: false,
  error: null,
};

/** The next state. A piece that was seen before changes nothing. */
export function reduce(state: ConversationState, event: ConversationEvent): ConversationState {
  switch (event.type) {
    case 'snapshot': {
      const answering = event.path.find((message) => message.status === 'answering');
      const live =
        answering === undefined ? null : { messageId: answering.id, text: answering.text, tokensPerSecond: 0 };
      const stage = state.stage?.messageId === answering?.id ? state.stage : null;
      return { ...state, conversation: event.conversation, path: event.path, live, stage, error: null };
    }
    case 'stage':
      return { ...state, stage: { messageId: event.messageId, stage: event.stage } };
    case 'delta': {
      const before = state.live?.messageId === event.messageId ? state.live.text : '';
      const text = before.slice(0, event.offset) + event.text;
      return {
        ...state,
        stage: null,
        live: { messageId: event.messageId, text, tokensPerSecond: event.tokensPerSecond },
      };
    }
    case 'message':
      return {
        ...state,
        conversation: event.conversation,
        path: state.path.map((message) => (message.id === event.message.id ? event.message : message)),
        live: state.live?.messageId === event.message.id ? null : state.live,
        stage: null,
        endedAnswers: state.endedAnswers + 1,
      };
    case 'gone':
      return { ...state, isGone: true };
  }
}

/** While the window is hidden there are no frames; then it is drawn this often. */
const hiddenIntervalMs = 250;

/** Applies events once per frame: a fast model tells more than a screen can show. */
function applier(store: StoreApi<ConversationState>): { take: (event: ConversationEvent) => void; end: () => void } {
  let waiting: ConversationEvent[] = [];
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const apply = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    timer = undefined;
    const events = waiting;
    waiting = [];
    if (events.length > 0) store.setState((state) => events.reduce(reduce, state), true);
  };
  return {
    take(event) {
      waiting.push(event);
      if (event.type !== 'delta' && event.type !== 'stage') return apply();
      if (timer !== undefined) return;
      frame = requestAnimationFrame(apply);
      timer = setTimeout(apply, hiddenIntervalMs);
    },
    end() {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    },
  };
}

const ConversationContext = createContext<StoreApi<ConversationState> | null>(null);
export const ConversationStoreProvider = ConversationContext.Provider;

/** Watches a conversation for as long as the component is there. Mount anew for another id. */
export function useWatchedConversation(conversationId: string): StoreApi<ConversationState> {
  const [store] = useState(() => createStore<ConversationState>(() => emptyState));
  const [events] = useState(() => applier(store));
  useEffect(() => () => events.end(), [events]);
  useStream(conversationId, (client, signal) => client.chat.watch({ conversationId }, { signal }), {
    onEvent: events.take,
    onEnd: (error) => {
      if (error?.code === 'not-found') store.setState({ isGone: true });
      else if (error !== null) store.setState({ error });
    },
  });
  return store;
}

export function useConversationState<Selected>(select: (state: ConversationState) => Selected): Selected {
  const store = useContext(ConversationContext);
  if (store === null) throw new Error('useConversationState needs a ConversationStoreProvider above it.');
  return useStore(store, select);
}
