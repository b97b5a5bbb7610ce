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

/** Finds the thoughts of a model that writes them between `<think>` and `</think>`; a tag may come in pieces. */
export class ThoughtTags {
  #isInThought: boolean;
  #held = '';
  /** Line breaks after a tag are the model's layout, not its text. */
  #isAfterTag = false;

  /** `beginsInThought`: the prompt ended with the opening tag. */
  constructor(beginsInThought: boolean) {
    this.#isInThought = beginsInThought;
  }

  add(text: string): { readonly isThought: boolean; readonly text: string }[] {
    this.#held += text;
    if (this.#isAfterTag) this.#held = this.#held.replace(/^\n+/, '');
    if (this.#held === '') return [];
    this.#isAfterTag = false;
    const pieces: { isThought: boolean; text: string }[] = [];
    for (;;) {
      const tag = this.#isInThought ? '</think>' : '<think>';
      const at = this.#held.indexOf(tag);
      if (at === -1) {
        const length = this.#held.length - beginningOf(tag, this.#held);
        pieces.push({ isThought: this.#isInThought, text: this.#held.slice(0, length) });
        this.#held = this.#held.slice(length);
        return pieces.filter((piece) => piece.text !== '');
      }
      pieces.push({ isThought: this.#isInThought, text: this.#held.slice(0, at) });
      this.#held = this.#held.slice(at + tag.length).replace(/^\n+/, '');
      this.#isAfterTag = this.#held === '';
      this.#isInThought = !this.#isInThought;
    }
  }

  /** What looked like the beginning of a tag and was none. */
  end(): { readonly isThought: boolean; readonly text: string }[] {
    const text = this.#held;
    this.#held = '';
    return text === '' ? [] : [{ isThought: this.#isInThought, text }];
  }
}

/** How many characters at the end of `text` might become `tag`. */
function beginningOf(tag: string, text: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(tag.slice(0, length))) return length;
  }
  return 0;
}
