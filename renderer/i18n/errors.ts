import type { ErrorData } from '../../contract/errors.ts';
import { i18n } from './i18n.ts';

export interface ErrorText {
  /** One sentence: what happened. */
  readonly message: string;
  /** Main's own words, where `message` is a translated summary of them. */
  readonly detail: string | null;
  /** What to do next. */
  readonly hint: string | null;
}

/**
 * Main speaks English. In English its words are shown as they are; in other languages a sentence for the
 * kind of error comes first, then main's words, which name the file or field.
 */
export function errorText(error: ErrorData): ErrorText {
  const hint: string = i18n.t(`errors.${error.code}.hint`);
  if (i18n.resolvedLanguage === 'en') {
    return { message: error.message, detail: null, hint: error.hint ?? (hint === '' ? null : hint) };
  }
  return {
    message: i18n.t(`errors.${error.code}.message`),
    detail: error.message,
    hint: hint === '' ? (error.hint ?? null) : hint,
  };
}
