/** What a reasoning model thinks before it answers is shown as a quotation, and not sent back to it. */
export class ThoughtQuoter {
  #isInThought = false;

  /** The Markdown for the next piece. */
  add(isThought: boolean, text: string): string {
    if (text === '') return '';
    const opening = isThought && !this.#isInThought ? '> ' : '';
    const closing = !isThought && this.#isInThought ? '\n\n' : '';
    this.#isInThought = isThought;
    return closing + opening + (isThought ? text.replaceAll('\n', '\n> ') : text);
  }

  /** What closes a thought that nothing followed. */
  end(): string {
    return this.#isInThought ? '\n' : '';
  }
}

/** An answer without the quotation it begins with. */
export function withoutThoughts(text: string): string {
  const match = /^(?:>[^\n]*(?:\n|$))+\n?/.exec(text);
  if (match === null) return text;
  const rest = text.slice(match[0].length);
  return rest.trim() === '' ? text : rest;
}
