import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { captionBytes, writeCaptions } from '../../../main/caption/export.ts';
import type { ExportItem } from '../../../main/caption/export.ts';
import { clock, csvTable, jsonLines, sidecarText } from '../../../main/caption/formats.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const picture = (patch: Partial<ExportItem> = {}): ExportItem => ({
  path: join(folder.path, 'cat.jpg'),
  name: 'cat.jpg',
  folder: '',
  kind: 'picture',
  text: 'A cat.',
  segments: [],
  seconds: null,
  modelName: 'tiny',
  state: 'done',
  ...patch,
});
const clip = (patch: Partial<ExportItem> = {}): ExportItem =>
  picture({
    path: join(folder.path, 'run.mp4'),
    name: 'run.mp4',
    kind: 'clip',
    text: 'A run.',
    seconds: 3725.5,
    segments: [
      { start: 0, end: 60, text: 'It <runs>.\n\nFast.', frames: [1] },
      { start: 60, end: 3725.5, text: 'It --> rests & waits.', frames: [70] },
    ],
    ...patch,
  });
const nameOf = ({ name }: { name: string }): string => name;

describe('formats', () => {
  test('times of subtitles count hours, and round to milliseconds without 1000 of them', () => {
    expect(clock(3725.5, ',')).toBe('01:02:05,500');
    expect(clock(59.9996, '.')).toBe('00:01:00.000');
  });

  test('SRT numbers its cues, and no blank line ends one early', () => {
    expect(sidecarText('srt', clip())).toBe(
      '1\n00:00:00,000 --> 00:01:00,000\nIt <runs>.\nFast.\n\n' +
        '2\n00:01:00,000 --> 01:02:05,500\nIt --> rests & waits.\n',
    );
  });

  test('VTT escapes what it would read as markup', () => {
    expect(sidecarText('vtt', clip())).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:01:00.000\nIt &lt;runs>.\nFast.\n\n' +
        '00:01:00.000 --> 01:02:05.500\nIt --&gt; rests &amp; waits.\n',
    );
  });

  test('JSON lines have each stretch of a clip with its times, then the whole', () => {
    const lines = jsonLines([picture(), clip()], nameOf)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(4);
    expect(lines[0]).toEqual({ file_name: 'cat.jpg', caption: 'A cat.', kind: 'picture', model: 'tiny' });
    expect(lines[2]).toMatchObject({ file_name: 'run.mp4', start: 60, end: 3725.5 });
    expect(lines[3]).toMatchObject({ caption: 'A run.', seconds: 3725.5 });
  });

  test('CSV quotes what would break a row', () => {
    const table = csvTable([picture({ text: 'A "cat", sleeping\non a mat' })], nameOf);
    expect(table.split('\r\n')[1]).toBe('cat.jpg,picture,,,"A ""cat"", sleeping\non a mat",done,tiny');
  });

  test('a clip without a text of its own is its stretches', () => {
    expect(sidecarText('txt', clip({ text: '' }))).toBe('It <runs>.\n\nFast. It --> rests & waits.\n');
  });
});

describe('writing', () => {
  test('puts a text file beside each, and leaves alone what is there unless told otherwise', async () => {
    await writeFile(join(folder.path, 'cat.txt'), 'mine');
    const options = { format: 'txt', folder: null, existing: 'skip' } as const;
    expect(await writeCaptions([picture(), clip(), picture({ text: ' ' })], options)).toEqual({
      written: 1,
      skipped: 1,
      empty: 1,
      problems: [],
    });
    expect(await readFile(join(folder.path, 'cat.txt'), 'utf8')).toBe('mine');
    await writeCaptions([picture()], { ...options, existing: 'replace' });
    expect(await readFile(join(folder.path, 'cat.txt'), 'utf8')).toBe('A cat.\n');
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('two files of one stem do not share a text file', async () => {
    const both = [picture(), picture({ name: 'cat.png', path: join(folder.path, 'cat.png'), text: 'Another.' })];
    await writeCaptions(both, { format: 'txt', folder: null, existing: 'replace' });
    expect(await readFile(join(folder.path, 'cat.txt'), 'utf8')).toBe('A cat.\n');
    expect(await readFile(join(folder.path, 'cat.png.txt'), 'utf8')).toBe('Another.\n');
  });

  test('keeps folders apart in another folder, and makes one table there', async () => {
    const out = join(folder.path, 'out');
    const both = [picture({ folder: 'a' }), picture({ folder: 'b' })];
    await writeCaptions(both, { format: 'txt', folder: out, existing: 'skip' });
    expect((await readdir(out)).sort()).toEqual(['a', 'b']);
    await writeCaptions(both, { format: 'jsonl', folder: out, existing: 'skip' });
    expect((await readFile(join(out, 'captions.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(2);
  });

  test('a file that cannot be written is told, and the others are', async () => {
    const blocked = join(folder.path, 'blocked');
    await writeFile(blocked, '');
    const bad = picture({ path: join(blocked, 'cat.jpg') });
    const outcome = await writeCaptions([bad, clip()], { format: 'txt', folder: null, existing: 'skip' });
    expect(outcome).toMatchObject({ written: 1, problems: [{ subject: join(blocked, 'cat.txt') }] });
  });

  test('as bytes: one file, or a zip of many with their folders', async () => {
    await mkdir(join(folder.path, 'x'));
    expect(captionBytes([clip()], 'srt')).toMatchObject({ name: 'run.srt', type: 'application/x-subrip', written: 1 });
    const { name, bytes } = captionBytes([picture({ folder: 'a' }), clip()], 'txt');
    expect(name).toBe('captions-txt.zip');
    const files = unzipSync(bytes);
    expect(Object.keys(files)).toEqual(['a/cat.txt', 'run.txt']);
    expect(strFromU8(files['a/cat.txt'] ?? new Uint8Array())).toBe('A cat.\n');
  });
});
