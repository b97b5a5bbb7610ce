/** A Hugging Face folder's tokenizer: text to ids, and ids back to text as they come. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { badFile } from '../inspect/bad-file.ts';
import { readJsonFile } from './files.ts';
import type { Json } from './files.ts';

/** A stretch of a prompt. Only what the template wrote may hold special tokens; what people wrote is text. */
export interface PromptPart {
  readonly text: string;
  readonly isTrusted: boolean;
}

/** Ends of a turn that models use without naming them in their configs. */
const knownEnds = ['<|eot_id|>', '<|eom_id|>', '<|im_end|>', '<|end_of_text|>', '<|endoftext|>', '<end_of_turn>'];

export class TextTokenizer {
  readonly #whole: Tokenizer;
  /** Knows no special tokens: for what people wrote. */
  readonly #plain: Tokenizer;
  readonly #specialTexts: readonly string[];
  /** Highest id and one. */
  readonly vocabSize: number;
  readonly endIds: ReadonlySet<number>;
  readonly bosToken: string;
  readonly eosToken: string;
  readonly #bosId: number | undefined;

  constructor(definition: Json, config: Json, endIds: Iterable<number>) {
    this.#whole = new Tokenizer(definition, config);
    const added = Array.isArray(definition['added_tokens']) ? (definition['added_tokens'] as Json[]) : [];
    this.#plain = new Tokenizer(
      { ...definition, added_tokens: added.filter((token) => token['special'] !== true) },
      config,
    );
    const special = added.filter((token) => token['special'] === true).map((token) => tokenText(token));
    this.#specialTexts = special.filter((text) => text !== '');
    this.bosToken = tokenText(config['bos_token']);
    this.eosToken = tokenText(config['eos_token']);
    this.#bosId = this.bosToken === '' ? undefined : this.#whole.token_to_id(this.bosToken);
    const ends = new Set(endIds);
    for (const text of [this.eosToken, ...knownEnds]) {
      const id = text === '' ? undefined : this.#whole.token_to_id(text);
      if (id !== undefined) ends.add(id);
    }
    this.endIds = ends;
    let highest = -1;
    for (const id of this.#whole.get_vocab(true).values()) highest = Math.max(highest, id);
    this.vocabSize = highest + 1;
  }

  /** With what the tokenizer adds by itself, such as a token for the beginning. */
  encode(text: string): number[] {
    return this.#whole.encode(text).ids;
  }

  /**
   * A rendered chat. The template has written all that is special; a token for the beginning is put before it only
   * where the template left it out and the tokenizer would add it. `after` follows as it is.
   */
  encodePrompt(parts: readonly PromptPart[], after: readonly number[] = []): number[] {
    const ids = [...this.encodeParts(parts), ...after];
    const wantsBos =
      this.#bosId !== undefined && ids[0] !== this.#bosId && this.#whole.encode('').ids[0] === this.#bosId;
    return wantsBos ? [this.#bosId, ...ids] : ids;
  }

  /** A stretch of a prompt, with nothing put before it. */
  encodeParts(parts: readonly PromptPart[]): number[] {
    const isHarmless = parts.every(
      ({ text, isTrusted }) => isTrusted || !this.#specialTexts.some((special) => text.includes(special)),
    );
    // Merges may reach across parts: only where it matters are they encoded one by one.
    return isHarmless
      ? this.#ids(this.#whole, parts.map(({ text }) => text).join(''))
      : parts.flatMap(({ text, isTrusted }) => this.#ids(isTrusted ? this.#whole : this.#plain, text));
  }

  #ids(tokenizer: Tokenizer, text: string): number[] {
    return text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** Special tokens are left out. */
  decode(ids: readonly number[]): string {
    return ids.length === 0
      ? ''
      : this.#whole.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  stream(): TextStream {
    return new TextStream((ids) => this.decode(ids));
  }
}

/** Pieces of text as ids come; joined they are the decoded whole. A character is never split. */
export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** The ids since the last but one piece: a decoder may treat the first of a text in its own way. */
  #ids: number[] = [];
  #givenIds = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  add(id: number): string {
    this.#ids.push(id);
    const before = this.#decode(this.#ids.slice(0, this.#givenIds));
    const now = this.#decode(this.#ids);
    // An unfinished character is decoded as a replacement character: it waits for its other bytes.
    if (now.length <= before.length || now.endsWith('\uFFFD')) return '';
    this.#ids = this.#ids.slice(this.#givenIds);
    this.#givenIds = this.#ids.length;
    return now.slice(before.length);
  }

  /** What never became a whole character. */
  end(): string {
    const before = this.#decode(this.#ids.slice(0, this.#givenIds));
    const rest = this.#decode(this.#ids).slice(before.length);
    this.#ids = [];
    this.#givenIds = 0;
    return rest;
  }
}

/** A token is named by its text, or by an object around it. */
function tokenText(value: unknown): string {
  if (typeof value === 'string') return value;
  const content = (value as Json | null | undefined)?.['content'];
  return typeof content === 'string' ? content : '';
}

function idsIn(config: Json | null): number[] {
  const value = config?.['eos_token_id'];
  return (Array.isArray(value) ? value : [value]).filter((id) => Number.isSafeInteger(id) && id >= 0) as number[];
}

/**
 * Fails with `bad-file` that names the file: no tokenizer.json, damaged ones, or ids beyond the model's `vocabSize`.
 */
export async function loadTokenizer(folder: string, vocabSize: number): Promise<TextTokenizer> {
  const path = join(folder, 'tokenizer.json');
  const definition = await readJsonFile(folder, 'tokenizer.json');
  if (definition === null) {
    const hasSentencePiece = (await stat(join(folder, 'tokenizer.model')).catch(() => null)) !== null;
    throw badFile(
      path,
      hasSentencePiece ? 'only tokenizer.model is there, which is not enough' : 'it is missing',
      'Get tokenizer.json from where the model came from, and put it into the folder.',
    );
  }
  const config = (await readJsonFile(folder, 'tokenizer_config.json')) ?? {};
  const generation = await readJsonFile(folder, 'generation_config.json');
  const model = await readJsonFile(folder, 'config.json');
  let tokenizer: TextTokenizer;
  try {
    tokenizer = new TextTokenizer(definition, config, [...idsIn(generation), ...idsIn(model)]);
    tokenizer.encode('a');
  } catch (thrown) {
    throw badFile(path, `it cannot be used (${(thrown as Error).message})`);
  }
  if (tokenizer.vocabSize > vocabSize) {
    throw badFile(path, `it has ids up to ${tokenizer.vocabSize - 1}, but the model only ${vocabSize} tokens`);
  }
  return tokenizer;
}
