/** Find and replace in captions. */
export interface ReplaceRequest {
  readonly find: string;
  readonly replacement: string;
  readonly matchCase: boolean;
  readonly wholeWord: boolean;
}

/** The words are taken as they are: nothing in them is a pattern. */
export function replacer({ find, replacement, matchCase, wholeWord }: ReplaceRequest): (text: string) => {
  readonly text: string;
  readonly matches: number;
} {
  const escaped = find.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  // Letters and digits of any script make a word.
  const pattern = wholeWord ? `(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])` : escaped;
  const expression = new RegExp(pattern, matchCase ? 'gu' : 'giu');
  return (text) => {
    let matches = 0;
    const changed = text.replaceAll(expression, () => {
      matches += 1;
      return replacement;
    });
    return { text: changed, matches };
  };
}
