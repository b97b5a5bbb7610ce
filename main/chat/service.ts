/** Conversations: sending, branching, watching, searching, moving in and out. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { defaultContextLimit } from '../../contract/chat.ts';
import type { Conversation, ConversationEvent, Message } from '../../contract/chat.ts';
import { LutraError } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Model } from '../../contract/models.ts';
import type { Settings } from '../../contract/settings.ts';
import type { Engine } from '../engine/engine.ts';
import type { EventBus } from '../events.ts';
import { Answers, historyOf } from './answers.ts';
import { ChatRows } from './rows.ts';
import type { ConversationPatch, StoredConversation, StoredMessage } from './rows.ts';
import { searchMessages } from './search.ts';
import { exportJson, exportMarkdown, importChats } from './transfer.ts';
import { Watchers } from './watchers.ts';

export interface ChatServiceOptions {
  readonly db: Database.Database;
  readonly engine: Engine;
  readonly models: { list(): Model[]; get(modelId: string): Model; pathOf(modelId: string): string };
  readonly settings: { get(): Settings };
  readonly bus: EventBus;
}

/** For so long a removed conversation can be had back. */
const keptAfterRemovalMs = 30 * 24 * 3600 * 1000;
const titleLength = 60;
/** Without a tokenizer at hand: characters of usual text per token. */
const charactersPerToken = 4;

export class ChatService {
  readonly handlers: StudioHandlers['chat'];
  readonly #options: ChatServiceOptions;
  readonly #rows: ChatRows;
  readonly #watchers = new Watchers();
  readonly #answers: Answers;
  #troubleToldAt = 0;

  constructor(options: ChatServiceOptions) {
    this.#options = options;
    const { db, engine } = options;
    this.#rows = new ChatRows(db);
    this.#rows.interruptUnfinished();
    this.#rows.purge(Date.now() - keptAfterRemovalMs);
    this.#answers = new Answers({
      rows: this.#rows,
      engine,
      watchers: this.#watchers,
      onEnd: (conversationId, messageId) => this.#ended(conversationId, messageId),
      onTrouble: (error) => this.#trouble(error),
    });
    this.handlers = {
      list: () => this.#rows.conversations().map((conversation) => this.#live(conversation)),
      create: (input) => this.#create(input),
      update: ({ conversationId, ...patch }) => this.#update(conversationId, patch),
      remove: ({ conversationId }) => this.#remove(conversationId),
      restore: ({ conversationId }) => this.#restore(conversationId),
      send: ({ conversationId, text, parentId }) => this.#send(conversationId, text, parentId),
      regenerate: ({ messageId }) => this.#regenerate(messageId),
      stop: async ({ conversationId }) => {
        await this.#answers.stop(conversationId);
        return {};
      },
      selectBranch: ({ messageId }) => this.#selectBranch(messageId),
      watch: ({ conversationId }, { signal }) => this.#watch(conversationId, signal),
      search: ({ query, limit }) => searchMessages(db, query, limit),
      exportChats: ({ conversationId, format }) => {
        const chosen = conversationId === null ? this.#rows.conversations() : [this.#conversation(conversationId)];
        return format === 'json' ? exportJson(this.#rows, chosen) : exportMarkdown(this.#rows, chosen);
      },
      importChats: ({ bytes }) => {
        const outcome = importChats(this.#rows, bytes);
        this.#listChanged();
        return outcome;
      },
      measure: ({ conversationId, draft }) => this.#measure(conversationId, draft),
    };
  }

  /** Answers in the making are stopped and kept. */
  dispose(): Promise<void> {
    return this.#answers.dispose();
  }

  #create({ modelId, title }: { modelId?: string | null | undefined; title?: string | undefined }): Conversation {
    const { chatModelId, systemPrompt, sampler } = this.#options.settings.get();
    const now = Date.now();
    const id = randomUUID();
    this.#rows.insertConversation({
      id,
      title: title ?? '',
      modelId: modelId ?? chatModelId,
      systemPrompt,
      sampler,
      contextSize: null,
      createdAt: now,
      updatedAt: now,
    });
    this.#listChanged();
    return this.#live(this.#conversation(id));
  }

  #update(conversationId: string, patch: ConversationPatch): Conversation {
    this.#conversation(conversationId);
    this.#rows.together(() => this.#rows.updateConversation(conversationId, patch));
    this.#changed(conversationId);
    return this.#live(this.#conversation(conversationId));
  }

  async #remove(conversationId: string): Promise<Record<string, never>> {
    this.#conversation(conversationId);
    await this.#answers.stop(conversationId);
    this.#rows.setRemoved(conversationId, Date.now());
    this.#watchers.tell(conversationId, { type: 'gone' });
    this.#listChanged();
    return {};
  }

  #restore(conversationId: string): Conversation {
    if (!this.#rows.setRemoved(conversationId, null)) throw unknownConversation();
    this.#listChanged();
    return this.#live(this.#conversation(conversationId));
  }

  #send(
    conversationId: string,
    text: string,
    parentId: string | null | undefined,
  ): { userMessageId: string; answerId: string } {
    const conversation = this.#conversation(conversationId);
    this.#requireQuiet(conversationId);
    const parent = parentId === undefined ? conversation.activeLeafId : parentId;
    if (parent !== null && this.#message(parent).conversationId !== conversationId) throw unknownMessage();
    const model = this.#modelFor(conversation);
    const userMessage = this.#newMessage(conversationId, parent, 'user', text, null);
    const answer = this.#newMessage(conversationId, userMessage.id, 'assistant', '', model.name);
    this.#rows.together(() => {
      this.#rows.insertMessage(userMessage);
      this.#rows.insertMessage(answer);
      this.#rows.setLeaf(conversationId, answer.id, answer.createdAt);
      if (conversation.modelId === null) this.#rows.updateConversation(conversationId, { modelId: model.id });
      if (conversation.title === '') this.#rows.updateConversation(conversationId, { title: titleFrom(text) });
    });
    this.#begin(conversationId, answer, model);
    return { userMessageId: userMessage.id, answerId: answer.id };
  }

  #regenerate(messageId: string): { answerId: string } {
    const message = this.#message(messageId);
    const { conversationId } = message;
    const conversation = this.#conversation(conversationId);
    this.#requireQuiet(conversationId);
    const model = this.#modelFor(conversation);
    const parentId = message.role === 'assistant' ? message.parentId : message.id;
    if (parentId === null) throw unknownMessage();
    const answer = this.#newMessage(conversationId, parentId, 'assistant', '', model.name);
    this.#rows.together(() => {
      this.#rows.insertMessage(answer);
      this.#rows.setLeaf(conversationId, answer.id, answer.createdAt);
    });
    this.#begin(conversationId, answer, model);
    return { answerId: answer.id };
  }

  #begin(conversationId: string, answer: StoredMessage, model: Model): void {
    const { models, settings } = this.#options;
    const { device, threads, chatCache } = settings.get();
    this.#answers.start({
      conversation: this.#conversation(conversationId),
      messageId: answer.id,
      model,
      modelPath: models.pathOf(model.id),
      compute: { device, threads, chatCache },
      path: this.#rows.path(conversationId, answer.parentId),
    });
    this.#changed(conversationId);
  }

  #selectBranch(messageId: string): Record<string, never> {
    const { conversationId } = this.#message(messageId);
    this.#requireQuiet(conversationId);
    this.#rows.setLeaf(conversationId, this.#rows.newestLeaf(messageId), Date.now());
    this.#changed(conversationId);
    return {};
  }

  async *#watch(conversationId: string, signal: AbortSignal): AsyncGenerator<ConversationEvent, void, undefined> {
    const first = this.#snapshot(conversationId);
    const stage = this.#answers.stage(conversationId);
    const events = this.#watchers.watch(conversationId, first, signal);
    let isFirst = true;
    for await (const event of events) {
      yield event;
      if (isFirst && stage !== null) yield { type: 'stage', ...stage };
      isFirst = false;
    }
  }

  #snapshot(conversationId: string): ConversationEvent {
    const conversation = this.#live(this.#conversation(conversationId));
    const path = this.#rows
      .path(conversationId, conversation.activeLeafId)
      .map((message) => this.#answers.withLiveText(message));
    return { type: 'snapshot', conversation, path };
  }

  #ended(conversationId: string, messageId: string): void {
    const stored = this.#rows.message(messageId);
    const conversation = this.#rows.conversation(conversationId);
    if (stored !== null && conversation !== null) {
      const message: Message = { ...stored, siblingIds: this.#rows.siblingsOf(stored) };
      this.#watchers.tell(conversationId, { type: 'message', message, conversation: this.#live(conversation) });
    }
    this.#listChanged();
  }

  async #measure(
    conversationId: string,
    draft: string,
  ): Promise<{ tokens: number; contextSize: number | null; isExact: boolean }> {
    const conversation = this.#conversation(conversationId);
    const { models, engine } = this.#options;
    const path = this.#rows.path(conversationId, conversation.activeLeafId);
    const turns = draft.trim() === '' ? path : [...path, { role: 'user' as const, text: draft }];
    const history = historyOf(turns);
    const model = this.#knownModel(conversation);
    const { systemPrompt } = conversation;
    const exact =
      model === null || history.length === 0 || this.#answers.isAnswering(conversationId)
        ? null
        : await engine.measure({ modelPath: models.pathOf(model.id), systemPrompt, history }).catch(() => null);
    if (exact !== null) return { ...exact, isExact: true };
    const characters = systemPrompt.length + history.reduce((sum, { text }) => sum + text.length, 0);
    const contextSize =
      conversation.contextSize ??
      (model === null ? null : Math.min(model.contextLength ?? defaultContextLimit, defaultContextLimit));
    return { tokens: Math.ceil(characters / charactersPerToken), contextSize, isExact: false };
  }

  #newMessage(
    conversationId: string,
    parentId: string | null,
    role: 'user' | 'assistant',
    text: string,
    modelName: string | null,
  ): StoredMessage {
    const status = role === 'user' ? 'complete' : 'answering';
    const id = randomUUID();
    return {
      id,
      conversationId,
      parentId,
      role,
      text,
      status,
      error: null,
      modelName,
      stats: null,
      createdAt: Date.now(),
    };
  }

  #knownModel({ modelId }: StoredConversation): Model | null {
    const models = this.#options.models.list();
    return models.find(({ id }) => id === modelId) ?? null;
  }

  /** The conversation's model; for one that never had any, the first that is ready. */
  #modelFor(conversation: StoredConversation): Model {
    const canChat = (model: Model): boolean => model.status === 'ready' && model.capabilities.includes('chat');
    const chosen = this.#knownModel(conversation);
    const model = chosen ?? (conversation.modelId === null ? this.#options.models.list().find(canChat) : undefined);
    if (model === undefined) {
      throw new LutraError({
        code: 'bad-input',
        message:
          conversation.modelId === null
            ? 'There is no model to chat with yet.'
            : 'The model of this chat is not in the list any more.',
        hint: conversation.modelId === null ? 'Add one in Models.' : 'Choose another one above the messages.',
        subject: 'modelId',
      });
    }
    if (model.problem !== null && model.status !== 'ready') throw new LutraError(model.problem);
    if (!canChat(model)) {
      throw new LutraError({
        code: 'not-supported',
        message: `${model.name} is no chat model.`,
        hint: 'Choose another one above the messages.',
        subject: model.name,
      });
    }
    return model;
  }

  #requireQuiet(conversationId: string): void {
    if (!this.#answers.isAnswering(conversationId)) return;
    throw new LutraError({
      code: 'conflict',
      message: 'An answer is being written in this chat.',
      hint: 'Wait for its end, or stop it.',
    });
  }

  #conversation(id: string): StoredConversation {
    const conversation = this.#rows.conversation(id);
    if (conversation === null) throw unknownConversation();
    return conversation;
  }

  #message(id: string): StoredMessage {
    const message = this.#rows.message(id);
    if (message === null) throw unknownMessage();
    return message;
  }

  #live(conversation: StoredConversation): Conversation {
    return { ...conversation, isAnswering: this.#answers.isAnswering(conversation.id) };
  }

  #changed(conversationId: string): void {
    if (this.#watchers.has(conversationId)) this.#watchers.tell(conversationId, this.#snapshot(conversationId));
    this.#listChanged();
  }

  #listChanged(): void {
    this.#options.bus.publish({ type: 'conversations' });
  }

  /** A full disk would complain twice a second; once in a while is enough. */
  #trouble(error: ErrorData): void {
    if (Date.now() - this.#troubleToldAt < 30_000) return;
    this.#troubleToldAt = Date.now();
    this.#options.bus.publish({ type: 'notice', level: 'error', error });
  }
}

function titleFrom(text: string): string {
  const line = text.trim().split('\n')[0]?.replaceAll(/\s+/gu, ' ') ?? '';
  const characters = [...line];
  return characters.length <= titleLength
    ? line
    : `${characters
        .slice(0, titleLength - 1)
        .join('')
        .trimEnd()}…`;
}

function unknownConversation(): LutraError {
  return new LutraError({ code: 'not-found', message: 'That chat is not there any more.' });
}

function unknownMessage(): LutraError {
  return new LutraError({ code: 'not-found', message: 'That message is not there any more.' });
}
