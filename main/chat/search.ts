/** Full-text search over all messages: FTS5's trigram index, and plain comparison for words too short for it. */
import type Database from 'better-sqlite3';
import type { SearchHit } from '../../contract/chat.ts';

interface HitRow {
  readonly id: string;
  readonly conversation_id: string;
  readonly title: string;
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly created_at: number;
}

/** The index knows pieces of three characters; shorter words are not in it. */
const shortestIndexed = 3;
const snippetBefore = 40;
const snippetAfter = 100;

/** Messages that hold every word of `query`, best first. */
export function searchMessages(db: Database.Database, query: string, limit: number): SearchHit[] {
  const words = [
    ...new Set(
      query
        .normalize('NFC')
        .split(/\s+/u)
        .filter((word) => word !== ''),
    ),
  ];
  if (words.length === 0) return [];
  const long = words.filter((word) => [...word].length >= shortestIndexed);
  const short = words.filter((word) => [...word].length < shortestIndexed);
  const conditions = [
    ...(long.length === 0 ? [] : ['messages_fts MATCH ?']),
    ...short.map(() => "m.text LIKE ? ESCAPE '\\'"),
  ];
  const parameters = [
    ...(long.length === 0 ? [] : [long.map((word) => `"${word.replaceAll('"', '""')}"`).join(' AND ')]),
    ...short.map((word) => `%${word.replaceAll(/[\\%_]/g, '\\$&')}%`),
  ];
  const order = long.length === 0 ? 'm.created_at DESC' : 'bm25(messages_fts), m.created_at DESC';
  const from = long.length === 0 ? 'messages m' : 'messages_fts JOIN messages m ON m.row = messages_fts.rowid';
  const rows = db
    .prepare<unknown[], HitRow>(
      `SELECT m.id, m.conversation_id, c.title, m.role, m.text, m.created_at
       FROM ${from} JOIN conversations c ON c.id = m.conversation_id
       WHERE c.deleted_at IS NULL AND ${conditions.join(' AND ')} ORDER BY ${order} LIMIT ?`,
    )
    .all(...parameters, limit);
  return rows.map((row) => ({
    conversationId: row.conversation_id,
    conversationTitle: row.title,
    messageId: row.id,
    role: row.role,
    snippet: snippetOf(row.text, words),
    createdAt: row.created_at,
  }));
}

/** The text around the first match, cut into pieces, with every match marked. */
export function snippetOf(text: string, words: readonly string[]): SearchHit['snippet'] {
  const source = words.map((word) => word.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')).join('|');
  const pattern = new RegExp(source, 'giu');
  const first = Math.max(0, text.search(pattern));
  const from = wordStart(text, Math.max(0, first - snippetBefore));
  const to = Math.min(text.length, first + snippetAfter);
  const shown = text.slice(from, to).replaceAll(/\s+/gu, ' ');
  const pieces: SearchHit['snippet'] = [];
  let at = 0;
  for (const match of shown.matchAll(pattern)) {
    if (match.index > at) pieces.push({ text: shown.slice(at, match.index), match: false });
    pieces.push({ text: match[0], match: true });
    at = match.index + match[0].length;
  }
  if (at < shown.length) pieces.push({ text: shown.slice(at), match: false });
  if (from > 0) pieces.unshift({ text: '…', match: false });
  if (to < text.length) pieces.push({ text: '…', match: false });
  return pieces;
}

/** Not in the middle of a surrogate pair, and after a space where one is near. */
function wordStart(text: string, from: number): number {
  if (from === 0) return 0;
  const space = text.slice(from, from + 15).search(/\s/u);
  const start = space === -1 ? from : from + space + 1;
  return /[\uDC00-\uDFFF]/.test(text.charAt(start)) ? start + 1 : start;
}
