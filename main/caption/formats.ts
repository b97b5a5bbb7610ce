/** Captions as text files: sidecars, JSON lines, CSV, subtitles. */
import type { CaptionFormat, CaptionItem } from '../../contract/caption.ts';

export type Exported = Pick<
  CaptionItem,
  'name' | 'folder' | 'kind' | 'text' | 'segments' | 'seconds' | 'modelName' | 'state'
>;

export const mimeTypes: Readonly<Record<CaptionFormat, string>> = {
  txt: 'text/plain',
  jsonl: 'application/jsonl',
  csv: 'text/csv',
  srt: 'application/x-subrip',
  vtt: 'text/vtt',
};

/** One file for all items, or one for each. */
export const isTable = (format: CaptionFormat): format is 'jsonl' | 'csv' => format === 'jsonl' || format === 'csv';

/** Nothing to write: no caption, or subtitles of a picture. */
export function isEmptyFor(format: CaptionFormat, item: Exported): boolean {
  if (format === 'srt' || format === 'vtt') return item.kind === 'picture' || cuesOf(item).length === 0;
  return item.text.trim() === '' && item.segments.every(({ text }) => text.trim() === '');
}

/** A sidecar's whole content. */
export function sidecarText(format: 'txt' | 'srt' | 'vtt', item: Exported): string {
  switch (format) {
    case 'txt':
      return `${wholeText(item).trim()}\n`;
    case 'srt':
      return cuesOf(item)
        .map(({ start, end, text }, at) => `${at + 1}\n${clock(start, ',')} --> ${clock(end, ',')}\n${text}\n`)
        .join('\n');
    case 'vtt':
      return `WEBVTT\n\n${cuesOf(item)
        .map(({ start, end, text }) => `${clock(start, '.')} --> ${clock(end, '.')}\n${escapedVtt(text)}\n`)
        .join('\n')}`;
  }
}

/** Of a clip a line for each stretch, then one for the whole. `pathOf` names the file. */
export function jsonLines(items: readonly Exported[], pathOf: (item: Exported) => string): string {
  const lines: object[] = [];
  for (const item of items) {
    const file_name = pathOf(item);
    for (const { start, end, text } of item.segments) lines.push({ file_name, start, end, caption: text });
    lines.push({
      file_name,
      caption: wholeText(item),
      kind: item.kind,
      ...(item.seconds === null ? {} : { seconds: item.seconds }),
      model: item.modelName,
    });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

const columns = ['file_name', 'kind', 'start', 'end', 'caption', 'state', 'model'] as const;

/** RFC 4180, with a mark that spreadsheets need to read UTF-8. Rows as the lines of `jsonLines`. */
export function csvTable(items: readonly Exported[], pathOf: (item: Exported) => string): string {
  const rows: (readonly (string | number)[])[] = [columns];
  for (const item of items) {
    const path = pathOf(item);
    for (const { start, end, text } of item.segments)
      rows.push([path, item.kind, start, end, text, item.state, item.modelName]);
    rows.push([path, item.kind, '', '', wholeText(item), item.state, item.modelName]);
  }
  return `\uFEFF${rows.map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`;
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Of a clip without a text of its own: its stretches. */
export function wholeText({ text, segments }: Pick<Exported, 'text' | 'segments'>): string {
  if (text.trim() !== '') return text;
  return segments
    .map((segment) => segment.text.trim())
    .filter((part) => part !== '')
    .join(' ');
}

interface Cue {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A blank line would end a cue. */
function cuesOf({ segments, text, seconds }: Exported): Cue[] {
  const all =
    segments.length > 0 ? segments : seconds !== null && text.trim() !== '' ? [{ start: 0, end: seconds, text }] : [];
  return all
    .map(({ start, end, text: words }) => ({ start, end, text: words.trim().replaceAll(/\s*\n\s*/g, '\n') }))
    .filter((cue) => cue.text !== '');
}

const escapedVtt = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('-->', '--&gt;');

/** `hh:mm:ss` with milliseconds after `point`. */
export function clock(seconds: number, point: ',' | '.'): string {
  const all = Math.round(seconds * 1000);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const ms = String(all % 1000).padStart(3, '0');
  return `${two(all / 3_600_000)}:${two((all / 60_000) % 60)}:${two((all / 1000) % 60)}${point}${ms}`;
}
