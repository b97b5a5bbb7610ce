/** Chats out to Markdown and JSON, and back in from JSON. */
import { randomUUID } from 'node:crypto';
import { strToU8, zipSync } from 'fflate';
import { z } from 'zod';
import {
  answerStatsSchema,
  conversationSchema,
  messageSchema,
  messageTextSchema,
  samplerSchema,
  systemPromptSchema,
} from '../../contract/chat.ts';
import { idSchema, timestampSchema } from '../../contract/common.ts';
import { LutraError, errorDataSchema } from '../../contract/errors.ts';
import { describeIssues } from '../../contract/rpc/frames.ts';
import type { ChatRows, StoredConversation, StoredMessage } from './rows.ts';

const exportedMessageSchema = z.object({
  id: idSchema,
  parentId: idSchema.nullable(),
  role: messageSchema.shape.role,
  text: messageTextSchema,
  status: messageSchema.shape.status.catch('complete'),
  error: errorDataSchema.nullable().catch(null),
  modelName: z.string().max(1000).nullable().catch(null),
  stats: answerStatsSchema.nullable().catch(null),
  createdAt: timestampSchema,
});

const exportedConversationSchema = z.object({
  id: idSchema,
  title: z.string().max(1000),
  systemPrompt: systemPromptSchema,
  sampler: samplerSchema,
  contextSize: conversationSchema.shape.contextSize.catch(null),
  activeLeafId: idSchema.nullable(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
  messages: z.array(exportedMessageSchema),
});
type ExportedConversation = z.infer<typeof exportedConversationSchema>;

const exportSchema = z.object({
  format: z.literal('lutra-chats'),
  version: z.literal(1),
  conversations: z.array(exportedConversationSchema),
});

export interface ExportedFile {
  readonly fileName: string;
  readonly mimeType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function exportJson(rows: ChatRows, conversations: readonly StoredConversation[]): ExportedFile {
  const content: z.input<typeof exportSchema> = {
    format: 'lutra-chats',
    version: 1,
    conversations: conversations.map((conversation) => ({
      id: conversation.id,
      title: conversation.title,
      systemPrompt: conversation.systemPrompt,
      sampler: conversation.sampler,
      contextSize: conversation.contextSize,
      activeLeafId: conversation.activeLeafId,
      createdAt: conversation.createdAt,
      updatedAt: conversation.updatedAt,
      messages: rows.allMessages(conversation.id).map(({ conversationId: _conversationId, ...message }) => message),
    })),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(content, null, 2)}\n`);
  return { fileName: `${baseName(conversations)}.json`, mimeType: 'application/json', bytes };
}

/** The active branch of each, as Markdown; several come as a zip. */
export function exportMarkdown(rows: ChatRows, conversations: readonly StoredConversation[]): ExportedFile {
  const [only] = conversations;
  if (conversations.length === 1 && only !== undefined) {
    const bytes = new TextEncoder().encode(markdownOf(rows, only));
    return { fileName: `${baseName(conversations)}.md`, mimeType: 'text/markdown', bytes };
  }
  const files: Record<string, Uint8Array> = {};
  for (const conversation of conversations) {
    const stem = fileStem(conversation.title);
    let name = `${stem}.md`;
    for (let copy = 2; name in files; copy += 1) name = `${stem} (${copy}).md`;
    files[name] = strToU8(markdownOf(rows, conversation));
  }
  return {
    fileName: `${baseName(conversations)}.zip`,
    mimeType: 'application/zip',
    bytes: Uint8Array.from(zipSync(files)),
  };
}

function markdownOf(rows: ChatRows, conversation: StoredConversation): string {
  const parts = [`# ${conversation.title === '' ? 'Chat' : conversation.title}`];
  if (conversation.systemPrompt.trim() !== '') parts.push('## System prompt', conversation.systemPrompt);
  for (const { role, text, modelName, createdAt } of rows.path(conversation.id, conversation.activeLeafId)) {
    const time = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ');
    parts.push(`## ${role === 'user' ? 'You' : (modelName ?? 'Assistant')} · ${time} UTC`, text);
  }
  return `${parts.join('\n\n')}\n`;
}

function baseName(conversations: readonly StoredConversation[]): string {
  const [only] = conversations;
  if (conversations.length === 1 && only !== undefined) return fileStem(only.title);
  return `Lutra chats ${new Date().toISOString().slice(0, 10)}`;
}

function fileStem(title: string): string {
  const plain = title
    .replaceAll(/[\u0000-\u001f\u007f<>:"/\\|?*]/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .replace(/^[\s.]+|[\s.]+$/g, '');
  const short = [...plain].slice(0, 60).join('').trim();
  return short === '' ? 'Chat' : short;
}

/** Fails with `bad-file` and changes nothing when the file is not whole. */
export function importChats(rows: ChatRows, bytes: Uint8Array): { imported: number; skipped: number } {
  const parsed = exportSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw notAnExport(describeIssues(parsed.error));
  for (const conversation of parsed.data.conversations) requireTree(conversation);
  let [imported, skipped] = [0, 0];
  rows.together(() => {
    for (const conversation of parsed.data.conversations) {
      if (rows.conversation(conversation.id) !== null) skipped += 1;
      else {
        insert(rows, conversation);
        imported += 1;
      }
    }
  });
  return { imported, skipped };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw notAnExport('It is not valid JSON.');
  }
}

function notAnExport(why: string): LutraError {
  return new LutraError({
    code: 'bad-file',
    message: `This file is no chat export of Lutra. ${why}`,
    hint: 'Choose a JSON file that “Export” wrote.',
  });
}

/** Every parent comes before its children, so there is no circle and no loose end. */
function requireTree({ title, messages, activeLeafId }: ExportedConversation): void {
  const seen = new Set<string>();
  for (const { id, parentId } of messages) {
    if (seen.has(id)) throw notAnExport(`In "${title}" the message ${id} is there twice.`);
    if (parentId !== null && !seen.has(parentId)) throw notAnExport(`In "${title}" the message ${id} has no parent.`);
    seen.add(id);
  }
  if (activeLeafId !== null && !seen.has(activeLeafId))
    throw notAnExport(`"${title}" ends in a message that is missing.`);
}

/** Ids that another conversation has already are replaced by new ones. */
function insert(rows: ChatRows, conversation: ExportedConversation): void {
  const { messages, activeLeafId, ...plain } = conversation;
  const isTaken = rows.conversation(plain.id, true) !== null;
  const conversationId = isTaken ? randomUUID() : plain.id;
  const newIds = new Map<string, string>();
  for (const { id } of messages) newIds.set(id, rows.message(id) === null ? id : randomUUID());
  const idOf = (id: string | null): string | null => (id === null ? null : (newIds.get(id) ?? null));
  rows.insertConversation({ ...plain, id: conversationId, modelId: null });
  for (const message of messages) {
    const stored: StoredMessage = {
      ...message,
      id: newIds.get(message.id) ?? message.id,
      parentId: idOf(message.parentId),
      conversationId,
      status: message.status === 'answering' ? 'interrupted' : message.status,
    };
    rows.insertMessage(stored);
  }
  rows.setLeaf(conversationId, idOf(activeLeafId), plain.updatedAt);
}
