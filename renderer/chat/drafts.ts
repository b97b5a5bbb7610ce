/** What was typed and not yet sent, per conversation, for as long as this window lives. */
const prefix = 'lutra.draft.';
const newChat = 'new';

export function readDraft(conversationId: string | null): string {
  return sessionStorage.getItem(prefix + (conversationId ?? newChat)) ?? '';
}

export function writeDraft(conversationId: string | null, text: string): void {
  const key = prefix + (conversationId ?? newChat);
  try {
    if (text === '') sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, text);
  } catch {
    // The browser's room is used up; the text stays in the field.
  }
}
