/** The `conversations` and `messages` tables. Messages form trees; nothing is overwritten. */
import type Database from 'better-sqlite3';
import { answerStatsSchema, samplerSchema } from '../../contract/chat.ts';
import type { Conversation, Message } from '../../contract/chat.ts';
import { errorDataSchema } from '../../contract/errors.ts';
import { defaultSettings } from '../../contract/settings.ts';

export interface ConversationRow {
  readonly id: string;
  readonly title: string;
  readonly model_id: string | null;
  readonly system_prompt: string;
  readonly sampler: string;
  readonly context_size: number | null;
  readonly active_leaf_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at: number | null;
  readonly message_count: number;
}

export interface MessageRow {
  readonly id: string;
  readonly conversation_id: string;
  readonly parent_id: string | null;
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly status: Message['status'];
  readonly error: string | null;
  readonly model_name: string | null;
  readonly stats: string | null;
  readonly created_at: number;
}

/** A message before it knows its siblings. */
export type StoredMessage = Omit<Message, 'siblingIds'>;
/** A conversation before it is known whether an answer is in the making. */
export type StoredConversation = Omit<Conversation, 'isAnswering'>;

export type NewConversation = Pick<
  StoredConversation,
  'id' | 'title' | 'modelId' | 'systemPrompt' | 'sampler' | 'contextSize' | 'createdAt' | 'updatedAt'
>;

export type ConversationPatch = {
  readonly [Key in 'title' | 'modelId' | 'systemPrompt' | 'sampler' | 'contextSize']?: Conversation[Key] | undefined;
};

const conversationColumns = 'c.*, (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count';

export class ChatRows {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** All or nothing. */
  together<Result>(work: () => Result): Result {
    return this.#db.transaction(work).immediate();
  }

  conversations(): StoredConversation[] {
    return this.#db
      .prepare<[], ConversationRow>(
        `SELECT ${conversationColumns} FROM conversations c WHERE deleted_at IS NULL ORDER BY updated_at DESC, rowid DESC`,
      )
      .all()
      .map(conversationOf);
  }

  /** Null for one that is not there, or was removed (unless `withRemoved`). */
  conversation(id: string, withRemoved = false): StoredConversation | null {
    const row = this.#db
      .prepare<[string], ConversationRow>(`SELECT ${conversationColumns} FROM conversations c WHERE id = ?`)
      .get(id);
    return row === undefined || (row.deleted_at !== null && !withRemoved) ? null : conversationOf(row);
  }

  insertConversation(conversation: NewConversation): void {
    const { id, title, modelId, systemPrompt, sampler, contextSize, createdAt, updatedAt } = conversation;
    this.#db
      .prepare(
        `INSERT INTO conversations (id, title, model_id, system_prompt, sampler, context_size, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(id, title, modelId, systemPrompt, JSON.stringify(sampler), contextSize, createdAt, updatedAt);
  }

  updateConversation(id: string, patch: ConversationPatch): void {
    const columns: Record<string, unknown> = {
      title: patch.title,
      model_id: patch.modelId,
      system_prompt: patch.systemPrompt,
      sampler: patch.sampler === undefined ? undefined : JSON.stringify(patch.sampler),
      context_size: patch.contextSize,
    };
    for (const [column, value] of Object.entries(columns)) {
      if (value !== undefined) this.#db.prepare(`UPDATE conversations SET ${column} = ? WHERE id = ?`).run(value, id);
    }
  }

  setLeaf(id: string, leafId: string | null, now: number): void {
    this.#db.prepare('UPDATE conversations SET active_leaf_id = ?, updated_at = ? WHERE id = ?').run(leafId, now, id);
  }

  setRemoved(id: string, at: number | null): boolean {
    return this.#db.prepare('UPDATE conversations SET deleted_at = ? WHERE id = ?').run(at, id).changes > 0;
  }

  /** Ends for good what was removed before `at`. */
  purge(at: number): void {
    this.#db.prepare('DELETE FROM conversations WHERE deleted_at < ?').run(at);
  }

  message(id: string): StoredMessage | null {
    const row = this.#db.prepare<[string], MessageRow>('SELECT * FROM messages WHERE id = ?').get(id);
    return row === undefined ? null : messageOf(row);
  }

  insertMessage(message: StoredMessage): void {
    this.#db
      .prepare(
        `INSERT INTO messages (id, conversation_id, parent_id, role, text, status, error, model_name, stats, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        message.id,
        message.conversationId,
        message.parentId,
        message.role,
        message.text,
        message.status,
        jsonOrNull(message.error),
        message.modelName,
        jsonOrNull(message.stats),
        message.createdAt,
      );
  }

  setText(id: string, text: string): void {
    this.#db.prepare('UPDATE messages SET text = ? WHERE id = ?').run(text, id);
  }

  endMessage({
    id,
    text,
    status,
    error,
    stats,
  }: Pick<StoredMessage, 'id' | 'text' | 'status' | 'error' | 'stats'>): void {
    this.#db
      .prepare('UPDATE messages SET text = ?, status = ?, error = ?, stats = ? WHERE id = ?')
      .run(text, status, jsonOrNull(error), jsonOrNull(stats), id);
  }

  /** What was being written when the studio last ended. */
  interruptUnfinished(): void {
    this.#db.prepare("UPDATE messages SET status = 'interrupted' WHERE status = 'answering'").run();
  }

  /** From the root to `leafId`, each with its siblings. */
  path(conversationId: string, leafId: string | null): Message[] {
    if (leafId === null) return [];
    const rows = this.#db
      .prepare<[string, string], MessageRow>(
        `WITH RECURSIVE line (id, depth) AS (
           SELECT id, 0 FROM messages WHERE id = ? AND conversation_id = ?
           UNION ALL
           SELECT m.parent_id, line.depth + 1 FROM line JOIN messages m ON m.id = line.id WHERE m.parent_id IS NOT NULL
         )
         SELECT messages.* FROM line JOIN messages ON messages.id = line.id ORDER BY line.depth DESC`,
      )
      .all(leafId, conversationId);
    const siblings = this.#siblings(conversationId);
    return rows.map((row) => ({ ...messageOf(row), siblingIds: siblings.get(row.parent_id) ?? [row.id] }));
  }

  siblingsOf({ id, conversationId, parentId }: Pick<StoredMessage, 'id' | 'conversationId' | 'parentId'>): string[] {
    const rows = this.#db
      .prepare<[string, string | null], { id: string }>(
        'SELECT id FROM messages WHERE conversation_id = ? AND parent_id IS ? ORDER BY row',
      )
      .all(conversationId, parentId);
    return rows.length === 0 ? [id] : rows.map((row) => row.id);
  }

  #siblings(conversationId: string): Map<string | null, string[]> {
    const groups = new Map<string | null, string[]>();
    const rows = this.#db
      .prepare<[string], { id: string; parent_id: string | null }>(
        'SELECT id, parent_id FROM messages WHERE conversation_id = ? ORDER BY row',
      )
      .all(conversationId);
    for (const { id, parent_id: parentId } of rows) {
      const group = groups.get(parentId);
      if (group === undefined) groups.set(parentId, [id]);
      else group.push(id);
    }
    return groups;
  }

  /** Follows the newest child down from `messageId`. */
  newestLeaf(messageId: string): string {
    const child = this.#db.prepare<[string], { id: string }>(
      'SELECT id FROM messages WHERE parent_id = ? ORDER BY row DESC LIMIT 1',
    );
    let leaf = messageId;
    for (let next = child.get(leaf); next !== undefined; next = child.get(leaf)) leaf = next.id;
    return leaf;
  }

  /** Every message of a conversation, parents before children. */
  allMessages(conversationId: string): StoredMessage[] {
    return this.#db
      .prepare<[string], MessageRow>('SELECT * FROM messages WHERE conversation_id = ? ORDER BY row')
      .all(conversationId)
      .map(messageOf);
  }
}

function jsonOrNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

function parseOr<Value>(
  schema: { safeParse: (value: unknown) => { success: true; data: Value } | { success: false } },
  text: string | null,
  otherwise: Value,
): Value {
  if (text === null) return otherwise;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : otherwise;
  } catch {
    return otherwise;
  }
}

function conversationOf(row: ConversationRow): StoredConversation {
  return {
    id: row.id,
    title: row.title,
    modelId: row.model_id,
    systemPrompt: row.system_prompt,
    sampler: parseOr(samplerSchema, row.sampler, defaultSettings.sampler),
    contextSize: row.context_size,
    activeLeafId: row.active_leaf_id,
    messageCount: row.message_count,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function messageOf(row: MessageRow): StoredMessage {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    parentId: row.parent_id,
    role: row.role,
    text: row.text,
    status: row.status,
    error: parseOr(errorDataSchema.nullable(), row.error, null),
    modelName: row.model_name,
    stats: parseOr(answerStatsSchema.nullable(), row.stats, null),
    createdAt: row.created_at,
  };
}
