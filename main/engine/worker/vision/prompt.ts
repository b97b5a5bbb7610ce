/** A conversation about pictures as tokens: the template's words, and the pictures in their places. */
import type { VisionFamily, VisionInfo } from '../../addon.ts';
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

/** How a picture was looked at: as a whole, or in `rows` x `columns` pieces before that. */
export interface SeenPicture {
  /** 0 where nothing was cut. */
  readonly rows: number;
  readonly columns: number;
  /** One of a clip's. */
  readonly isFrame: boolean;
}

export interface PromptPictures {
  readonly family: VisionFamily;
  readonly imageTokenId: number;
  /** Copies of it for each picture. */
  readonly imageTokens: number;
  readonly pieces: VisionInfo['pieces'];
  readonly seen: readonly SeenPicture[];
}

/** The pictures stand before the first thing that the user says. */
export async function visionPrompt(
  messages: readonly ChatMessage[],
  pictures: PromptPictures,
  template: ChatTemplate,
  tokenizer: TextTokenizer,
): Promise<number[]> {
  const { family, imageTokenId, imageTokens, seen } = pictures;
  if (seen.length === 0) return tokenizer.encodePrompt(await template.render(messages));
  if (family === 'mllama') {
    // Its template leaves out the system turn where there is a picture, so it has to be told.
    const ids = tokenizer.encodePrompt(await template.render(messages, { hasPicture: true }));
    if (ids.includes(imageTokenId)) return ids;
  }
  const parts = await template.render(messages);
  const firstUser = messages.findIndex(({ role }) => role === 'user');
  const at = placeOf(parts, firstUser);
  const places =
    family === 'mplugowl3'
      ? owlPlaces(pictures, tokenizer)
      : Array.from({ length: seen.length * imageTokens }, () => imageTokenId);
  const text = parts.slice(at);
  // As the model's own examples have it: pictures on a line, then the words.
  const lead: PromptPart[] = family === 'mplugowl3' ? [{ text: '\n', isTrusted: true }] : [];
  return tokenizer.encodePrompt(parts.slice(0, at), [...places, ...tokenizer.encodeParts([...lead, ...text])]);
}

/**
 * mPLUG-Owl3's pictures, with what it was trained to read around pieces and frames, as its processors write it: tokens
 * in the model of 24-11-01, words in that of 24-07-28.
 */
function owlPlaces({ imageTokenId, pieces, seen }: PromptPictures, tokenizer: TextTokenizer): number[] {
  const encode = (text: string): number[] => tokenizer.encodeParts([{ text, isTrusted: true }]);
  const layout = pieces === 'marked' ? markedPieces : namedPieces;
  const ids: number[] = [];
  const isClip = pieces === 'marked' && seen.length > 1 && seen.every(({ isFrame }) => isFrame);
  if (isClip) ids.push(...encode('<|start_video_frame|>'));
  for (const picture of seen) {
    // Text between pictures is encoded by itself: no merge reaches across one.
    for (const [at, text] of layout(picture).entries()) {
      if (at > 0) ids.push(imageTokenId);
      ids.push(...encode(text));
    }
  }
  if (isClip) ids.push(...encode('<|end_video_frame|>'));
  return ids;
}

/** The text before, between and after the places of a picture and its pieces. */
type Layout = (picture: SeenPicture) => string[];

const markedPieces: Layout = ({ rows, columns }) => {
  if (rows === 0) return ['', ''];
  const between = Array.from({ length: rows * columns }, (_, at) => ((at + 1) % columns === 0 ? '\n' : ' '));
  return [`<|start_cut|>${rows}*${columns}\n`, ...between, '<|end_cut|>'];
};

const namedPieces: Layout = ({ rows, columns }) => {
  if (rows === 0) return ['', ''];
  const before = Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const name = `subimg(${row},${column})`;
    if (at === 0) return `Cut to ${rows} rows ${columns} columns with a global view\n${name}`;
    return `${column === 0 ? '\n' : ' '}${name}`;
  });
  return [...before, '\nglobal_view', ''];
};

/** Where the message of that number begins; the end where the template kept nothing apart. */
function placeOf(parts: readonly PromptPart[], message: number): number {
  let seen = -1;
  const found = parts.findIndex(({ isTrusted }) => {
    if (!isTrusted) seen += 1;
    return seen === message;
  });
  return found === -1 ? 0 : found;
}
