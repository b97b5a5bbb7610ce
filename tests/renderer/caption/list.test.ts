import { describe, expect, test } from 'vitest';
import type { CaptionBatch, CaptionItem, CaptionSegment } from '../../../contract/caption.ts';
import { gather, gatherChosen, holdsPictures } from '../../../renderer/caption/gather.ts';
import { changeOf, wordsOf } from '../../../renderer/caption/words.ts';
import { only } from '../../../renderer/caption/selection.ts';
import {
  chosenIds,
  followBatch,
  settingsToUse,
  updateSelection,
  useCaptions,
  withItems,
} from '../../../renderer/caption/store.ts';
import { clock } from '../../../renderer/caption/time.ts';
import { shownFrames } from '../../../renderer/caption/timeline.tsx';

function itemOf(id: string, patch: Partial<CaptionItem> = {}): CaptionItem {
  return {
    id,
    name: `${id}.png`,
    folder: '',
    kind: 'picture',
    state: 'waiting',
    isLocked: false,
    text: '',
    segments: [],
    error: null,
    note: '',
    modelName: '',
    prompt: '',
    width: null,
    height: null,
    seconds: null,
    tags: '',
    updatedAt: 1,
    ...patch,
  };
}

const batch: CaptionBatch = {
  jobId: 'job',
  modelName: 'a model',
  stage: 'captioning',
  fraction: null,
  done: 0,
  failed: 0,
  total: 2,
  etaSeconds: null,
  itemId: 'a',
};

/** Files and folders as a browser hands them over when they are dropped. */
function entryOf(name: string, content: File | readonly FileSystemEntry[]): FileSystemEntry {
  if (content instanceof File) {
    return { name, isFile: true, isDirectory: false, file: (done: (file: File) => void) => done(content) } as never;
  }
  const createReader = (): unknown => {
    // A hundred at a time, then nothing.
    let next = 0;
    return {
      readEntries: (done: (some: readonly FileSystemEntry[]) => void) => {
        done(content.slice(next, next + 100));
        next += 100;
      },
    };
  };
  return { name, isFile: false, isDirectory: true, createReader } as never;
}
const fileEntry = (name: string): FileSystemEntry => entryOf(name, new File(['x'], name));

describe('a dropped folder', () => {
  test('of thousands is walked to its end, in the order of its names, without what is hidden or of no use', async () => {
    const many = Array.from({ length: 1234 }, (_, at) => fileEntry(`shot ${1234 - at}.jpg`));
    const root = entryOf('trip', [
      entryOf('day 1', many),
      entryOf('.cache', [fileEntry('thumb.png')]),
      fileEntry('notes.docx'),
      fileEntry('._a.png'),
      fileEntry('clip.MOV'),
    ]);
    const found = await gather([root, fileEntry('alone.webp')]);
    expect(found.length).toBe(1236);
    expect(found[0]).toMatchObject({ folder: 'trip', file: { name: 'clip.MOV' } });
    expect([found[1], found[1234]].map((one) => one?.file.name)).toEqual(['shot 1.jpg', 'shot 1234.jpg']);
    expect(found[1]?.folder).toBe('trip/day 1');
    expect(found.at(-1)).toMatchObject({ folder: '', file: { name: 'alone.webp' } });
  });

  test('is told from a model by what lies in it', async () => {
    expect(await holdsPictures(entryOf('a', [fileEntry('x.png')]))).toBe(true);
    expect(await holdsPictures(entryOf('a', [entryOf('b', [fileEntry('x.png')])]))).toBe(true);
    expect(await holdsPictures(entryOf('a', [fileEntry('model.safetensors'), fileEntry('card.png')]))).toBe(false);
    expect(await holdsPictures(entryOf('a', [fileEntry('read.me')]))).toBe(false);
  });

  test('that was chosen keeps its inner folders', () => {
    const chosen = ['trip/day 1/a.png', 'trip/.thumbs/b.png', 'trip/list.csv'].map((path) => {
      const file = new File(['x'], path.split('/').at(-1) ?? '');
      Object.defineProperty(file, 'webkitRelativePath', { value: path });
      return file;
    });
    expect(gatherChosen(chosen)).toEqual([{ file: chosen[0], folder: 'trip/day 1' }]);
  });
});

describe('what main tells', () => {
  test('of an item that is done ends its writing and is remembered as the newest result', () => {
    useCaptions.setState({
      batch,
      items: new Map([['a', itemOf('a', { state: 'running' })]]),
      writing: new Map([['a', { segment: null, text: 'A ci' }]]),
      latestIds: ['b', 'c'],
    });
    const changed = withItems(useCaptions.getState(), [itemOf('a', { state: 'done', text: 'A circle.' })]);
    expect(changed.items?.get('a')?.text).toBe('A circle.');
    expect(changed.writing?.size).toBe(0);
    expect(changed.latestIds).toEqual(['a', 'b', 'c']);
  });

  test('of the item that is being captioned shows it, until the person looks at another', () => {
    useCaptions.setState({ batch, ids: ['a', 'b'], activeId: 'b', isFollowing: true });
    followBatch();
    expect(useCaptions.getState().activeId).toBe('a');
    updateSelection(() => only('b'));
    followBatch();
    expect(useCaptions.getState().activeId).toBe('b');
  });

  test('of an edit is no new result', () => {
    useCaptions.setState({ batch, items: new Map([['a', itemOf('a', { state: 'done' })]]) });
    expect(withItems(useCaptions.getState(), [itemOf('a', { state: 'edited' })]).latestIds).toBeUndefined();
  });
});

describe('what is asked for', () => {
  test('acts on the selection, else on what is shown', () => {
    const state = useCaptions.getState();
    expect(chosenIds({ ...state, activeId: 'a', selected: new Set(['b', 'c']) })).toEqual(['b', 'c']);
    expect(chosenIds({ ...state, activeId: 'a', selected: new Set() })).toEqual(['a']);
    expect(chosenIds({ ...state, activeId: null, selected: new Set() })).toEqual([]);
  });

  test('is the own prompt only while that is chosen; it is kept meanwhile', () => {
    const { draft } = useCaptions.getState();
    const own = { ...draft, settings: { ...draft.settings, prompt: 'What is on {name}?' } };
    expect(settingsToUse({ ...own, hasOwnPrompt: true }).prompt).toBe('What is on {name}?');
    expect(settingsToUse({ ...own, hasOwnPrompt: false }).prompt).toBe('');
  });

  test('leaves out words that are written with any comma, each once', () => {
    expect(wordsOf(' image, picture of，照片、 image;;\n')).toEqual(['image', 'picture of', '照片']);
    expect(wordsOf('')).toEqual([]);
  });
});

describe('a replacement', () => {
  test('shows what goes and what comes, with some words around it', () => {
    expect(changeOf('A circle, red', 'A disc, red')).toEqual({
      head: 'A ',
      removed: 'circle',
      added: 'disc',
      tail: ', red',
    });
    const long = 'x'.repeat(100);
    const { head, removed, added, tail } = changeOf(`${long}水${long}`, `${long}${long}`);
    expect([head.length, removed, added, tail.length]).toEqual([49, '水', '', 49]);
    expect(changeOf('aa', 'aaa')).toMatchObject({ removed: '', added: 'a' });
  });
});

describe('a clip', () => {
  const segment = (start: number, end: number, frames: number[]): CaptionSegment => ({ start, end, text: '', frames });

  test('shows the frames that the model saw, thinned out where they are many', () => {
    expect(shownFrames([segment(0, 2, [0.5, 1.5]), segment(2, 4, [2.5, 3.5])], 4)).toEqual([0.5, 1.5, 2.5, 3.5]);
    const many = shownFrames(
      [
        segment(
          0,
          100,
          Array.from({ length: 100 }, (_, at) => at),
        ),
      ],
      100,
    );
    expect(many.length).toBe(12);
    expect(many[0]).toBe(4);
    expect(many.at(-1)).toBe(95);
    expect(shownFrames([], 8)[0]).toBe(0.5);
  });

  test('tells its time as players do', () => {
    expect([clock(0), clock(75.4), clock(3661)]).toEqual(['0:00', '1:15', '1:01:01']);
    expect([clock(0.3, true), clock(59.99, true), clock(75.25, true)]).toEqual(['0:00.3', '0:59.9', '1:15.2']);
  });
});
