/** What is asked about a picture or clip, and what becomes of the answer. */
import { basename, dirname, extname } from 'node:path';
import { presetPrompts } from '../../contract/caption-settings.ts';
import type { CaptionSettings } from '../../contract/caption-settings.ts';

export interface Asked {
  readonly path: string;
  readonly name: string;
  /** Relative to what was added; empty at the top. */
  readonly folder: string;
  readonly tags: string;
}

/** The preset's or the person's words with their parts filled in, and the words to avoid. */
export function promptFor(
  { preset, prompt, avoid }: Pick<CaptionSettings, 'preset' | 'prompt' | 'avoid'>,
  { path, name, folder, tags }: Asked,
): string {
  const parts: Readonly<Record<string, string>> = {
    name: name.slice(0, name.length - extname(name).length),
    folder: folder === '' ? basename(dirname(path)) : (folder.split('/').at(-1) ?? ''),
    tags,
  };
  const base = prompt.trim() === '' ? presetPrompts[preset] : prompt.trim();
  const filled = base.replaceAll(/\{(\w+)\}/gu, (whole, key: string) => parts[key] ?? whole);
  return avoid.length === 0 ? filled : `${filled} Do not use these words: ${avoid.join(', ')}.`;
}

/** Of the captions of a clip's stretches, or of its frames, one for the whole. */
export function mergePrompt(kind: 'frames' | 'stretches', prompt: string, parts: readonly Timed[]): string {
  const listed = parts.map(({ start, text }, at) => `${at + 1}. [${clockOf(start)}] ${text.replaceAll(/\s+/gu, ' ')}`);
  const what = kind === 'frames' ? 'frames of one clip' : 'parts of one clip';
  return `These lines describe ${what}, in order of time:\n${listed.join('\n')}\n\nWith nothing but these lines, write of the clip as a whole: ${prompt}`;
}

interface Timed {
  readonly start: number;
  readonly text: string;
}

function clockOf(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

export interface Dressed {
  readonly text: string;
  /** It still holds words to avoid. */
  readonly hasAvoided: boolean;
}

/** The answer as it is kept: tags without what is to be avoided, and what goes before and after it. */
export function dressed(
  answer: string,
  { preset, prompt, prefix, suffix, avoid }: Pick<CaptionSettings, 'preset' | 'prompt' | 'prefix' | 'suffix' | 'avoid'>,
): Dressed {
  const isTags = preset === 'tags' && prompt.trim() === '';
  const plain = isTags ? tagsOf(answer, avoid) : answer.trim();
  const glue = isTags ? ', ' : ' ';
  // What ends or begins with a space is glued as its writer meant it.
  const before = prefix === '' || /\s$/u.test(prefix) || plain === '' ? prefix : `${prefix}${glue}`;
  const after = suffix === '' || /^[\s,.;:!?]/u.test(suffix) || plain === '' ? suffix : `${glue}${suffix}`;
  return { text: `${before}${plain}${after}`, hasAvoided: avoid.some((word) => holdsWord(plain, word)) };
}

/** One line, each tag once, none that is to be avoided. */
function tagsOf(answer: string, avoid: readonly string[]): string {
  const seen = new Set<string>();
  return answer
    .split(/[,\n;]/u)
    .map((tag) =>
      tag
        .replace(/^[\s\-*•\d.)]*(?=\p{L})/u, '')
        .trim()
        .replace(/\.$/u, ''),
    )
    .filter((tag) => {
      const key = tag.toLowerCase();
      if (key === '' || seen.has(key) || avoid.some((word) => holdsWord(tag, word))) return false;
      seen.add(key);
      return true;
    })
    .join(', ');
}

function holdsWord(text: string, word: string): boolean {
  const escaped = word.trim().replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  return escaped !== '' && new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, 'iu').test(text);
}
