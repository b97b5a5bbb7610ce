/** A prompt as T5 reads it: tokens, filled up with padding that the model knows. */
import { Tokenizer } from '@huggingface/tokenizers';
import { LutraError } from '../../../../contract/errors.ts';
import type { AudioPrompt } from '../../addon.ts';
import { readJsonFile } from '../text/files.ts';

const padId = 0;

export interface EncodedPrompt extends AudioPrompt {
  /** What did not fit; empty where all did. */
  readonly cut: string;
}

export class PromptEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #length: number;

  private constructor(tokenizer: Tokenizer, length: number) {
    this.#tokenizer = tokenizer;
    this.#length = length;
  }

  /** `folder` holds a `tokenizer.json`. Fails with `not-found` or `bad-file`. */
  static async load(folder: string, length: number): Promise<PromptEncoder> {
    const definition = folder === '' ? null : await readJsonFile(folder, 'tokenizer.json');
    if (definition === null) {
      throw new LutraError({
        code: 'not-found',
        message: 'There is no tokenizer.json of T5 beside this model.',
        hint: 'Put the folder of t5-base, with its tokenizer.json, into the model’s folder.',
        subject: 'tokenizer.json',
      });
    }
    const config = (await readJsonFile(folder, 'tokenizer_config.json')) ?? {};
    try {
      return new PromptEncoder(new Tokenizer(definition, config), length);
    } catch (thrown) {
      throw new LutraError(
        {
          code: 'bad-file',
          message: `The tokenizer.json in ${folder} is not one that Lutra can read.`,
          hint: 'Get the file again.',
          subject: 'tokenizer.json',
        },
        { cause: thrown },
      );
    }
  }

  /** The last token of a text marks its end; it stays where the text is cut. */
  encode(text: string): EncodedPrompt {
    const all = this.#tokenizer.encode(text).ids;
    const fits = all.length <= this.#length;
    const end = all.at(-1) ?? padId;
    const ids = fits ? all : [...all.slice(0, this.#length - 1), end];
    const cut = fits
      ? ''
      : this.#tokenizer.decode(all.slice(this.#length - 1, -1), { skip_special_tokens: true }).trim();
    const padded = Int32Array.from({ length: this.#length }, (_, at) => ids[at] ?? padId);
    return { ids: padded, mask: Int32Array.from(padded, (_, at) => (at < ids.length ? 1 : 0)), cut };
  }
}
