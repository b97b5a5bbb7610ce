/** A conversation about pictures as tokens: the template's words, and the pictures in their places. */
import type { VisionFamily } from '../../addon.ts';
import { ChatTemplate, loadTemplate } from '../text/template.ts';
import type { ChatMessage } from '../text/template.ts';
import type { PromptPart, TextTokenizer } from '../text/tokenizer.ts';

/** mPLUG-Owl3's processor writes ChatML with an empty system turn, whatever its tokenizer's template says. */
const owlTemplate = `{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\n<|im_end|>' }}{%- endif %}
{%- for message in messages %}
{{- ('' if loop.first and message['role'] == 'system' else '\\n') + '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\n<|im_start|>assistant\\n' }}{%- endif %}`;

export async function loadVisionTemplate(
  folder: string,
  family: VisionFamily,
  tokenizer: TextTokenizer,
): Promise<ChatTemplate> {
  if (family !== 'mplugowl3') return loadTemplate(folder, tokenizer);
  return new ChatTemplate({ path: folder, source: owlTemplate, variables: {} });
}

export interface PromptPictures {
  readonly family: VisionFamily;
  readonly imageTokenId: number;
  /** Copies of it for each picture. */
  readonly imageTokens: number;
  readonly count: number;
}

/** The pictures stand before the first thing that the user says. */
export async function visionPrompt(
  messages: readonly ChatMessage[],
  { family, imageTokenId, imageTokens, count }: PromptPictures,
  template: ChatTemplate,
  tokenizer: TextTokenizer,
): Promise<number[]> {
  if (count === 0) return tokenizer.encodePrompt(await template.render(messages));
  if (family === 'mllama') {
    // Its template leaves out the system turn where there is a picture, so it has to be told.
    const ids = tokenizer.encodePrompt(await template.render(messages, { hasPicture: true }));
    if (ids.includes(imageTokenId)) return ids;
  }
  const parts = await template.render(messages);
  const firstUser = messages.findIndex(({ role }) => role === 'user');
  const at = placeOf(parts, firstUser);
  const pictures = Array.from({ length: count * imageTokens }, () => imageTokenId);
  const text = parts.slice(at);
  // As the model's own examples have it: pictures on a line, then the words.
  const lead: PromptPart[] = family === 'mplugowl3' ? [{ text: '\n', isTrusted: true }] : [];
  return tokenizer.encodePrompt(parts.slice(0, at), [...pictures, ...tokenizer.encodeParts([...lead, ...text])]);
}

/** Where the message of that number begins; the end where the template kept nothing apart. */
function placeOf(parts: readonly PromptPart[], message: number): number {
  let seen = -1;
  const found = parts.findIndex(({ isTrusted }) => {
    if (!isTrusted) seen += 1;
    return seen === message;
  });
  return found === -1 ? 0 : found;
}
