/** Clips: who decodes them, what is looked at, and what is written of it. The page and the engine are scripted. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClipFrame, ClipRequest } from '../../../contract/caption.ts';
import { captionSettingsSchema } from '../../../contract/caption-settings.ts';
import type { VisionRequest } from '../../../main/engine/protocol.ts';
import { captionOf, infoOf, thinned } from '../../../main/caption/captioner.ts';
import type { CaptionProgress } from '../../../main/caption/captioner.ts';
import { ClipDesk } from '../../../main/caption/clips.ts';
import type { ClipReader } from '../../../main/caption/clips.ts';
import type { Written } from '../../../main/caption/rows.ts';
import { CaptionWatchers } from '../../../main/caption/watchers.ts';
import { temporaryFolder } from '../../fixtures/host.ts';
import { scriptedVision } from '../../fixtures/scripted-vision.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path: string;
const abort = { signal: new AbortController().signal };

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, 'run.mp4');
  await writeFile(path, 'clip');
});
afterEach(() => folder.remove());

/** A clip whose picture changes from dark to bright at each of `cuts`. */
function reader(seconds: number, cuts: readonly number[] = []): ClipReader {
  const brightness = (at: number): number => (cuts.filter((cut) => cut <= at).length % 2 === 0 ? 10 : 240);
  const frame = (at: number): ClipFrame => ({
    seconds: at,
    width: 2,
    height: 2,
    encoding: 'rgba',
    bytes: new Uint8Array(16).fill(brightness(at)),
  });
  return {
    facts: { seconds, width: 64, height: 36, codec: 'avc' },
    frames: async (times) => times.map(frame),
    small: async function* (times) {
      for (const at of times) yield { ...frame(at), bytes: new Uint8Array(32 * 18 * 4).fill(brightness(at)) };
    },
  };
}

interface Told {
  readonly written: Written;
  readonly requests: VisionRequest[];
  readonly events: CaptionProgress[];
}

async function caption(
  clip: ClipReader,
  settings: object,
  say: (request: VisionRequest) => string,
  family: 'evlm' | 'mllama' = 'evlm',
): Promise<Told> {
  const requests: VisionRequest[] = [];
  const engine = scriptedVision({
    family,
    say: (request) => {
      requests.push(request);
      return say(request);
    },
  });
  const tools = {
    engine,
    model: { path: '/m', name: 'tiny' },
    info: infoOf(await engine.describeVision('/m')),
    threads: null,
    priority: 20,
    openClip: async () => clip,
  } as const;
  const task = { itemId: null, kind: 'clip', path, name: 'run.mp4', folder: '', tags: '' } as const;
  const events: CaptionProgress[] = [];
  for await (const event of captionOf(task, captionSettingsSchema.parse(settings), tools, abort.signal))
    events.push(event);
  const last = events.at(-1);
  if (last?.type !== 'done') throw new Error('Nothing was written.');
  return { written: last.written, requests, events };
}

const keysOf = (request: VisionRequest | undefined): string[] =>
  (request?.pictures ?? []).map(({ key }) => key.split('@')[1] ?? '');

describe('a clip', () => {
  test('that is short is one stretch, seen in frames spread evenly', async () => {
    const { written, requests } = await caption(
      reader(8),
      { sampling: { kind: 'uniform', frames: 4 } },
      () => 'A run.',
    );
    expect(keysOf(requests[0])).toEqual(['1.000', '3.000', '5.000', '7.000']);
    expect(written).toMatchObject({
      text: 'A run.',
      segments: [{ start: 0, end: 8, text: 'A run.', frames: [1, 3, 5, 7] }],
    });
    expect(requests).toHaveLength(1);
  });

  test('that is long has a caption for each stretch, with times of the whole, then one for all', async () => {
    let count = 0;
    const { written, requests, events } = await caption(
      reader(150),
      { sampling: { kind: 'uniform', frames: 2 }, prefix: 'ohwx' },
      ({ pictures }) => (pictures.length > 0 ? `part ${++count}` : 'all of it'),
    );
    expect(written.segments.map(({ start, end, text }) => [start, end, text])).toEqual([
      [0, 50, 'ohwx part 1'],
      [50, 100, 'ohwx part 2'],
      [100, 150, 'ohwx part 3'],
    ]);
    expect(written.text).toBe('ohwx all of it');
    expect(requests.at(-1)?.pictures).toEqual([]);
    expect(requests.at(-1)?.messages[0]?.text).toContain('2. [0:50] part 2');
    expect(events.filter(({ type }) => type === 'writing').map((event) => 'segment' in event && event.segment)).toEqual(
      [0, 1, 2, null],
    );
  });

  test('is cut where its picture changes', async () => {
    const settings = { sampling: { kind: 'scenes', framesPerScene: 1 } };
    const { written } = await caption(reader(12, [5, 9]), settings, () => 'scene');
    expect(written.segments.map(({ start, end }) => [start, end])).toEqual([
      [0, 5],
      [5, 9],
      [9, 12],
    ]);
  });

  test('before a model that looks at one picture at a time is told frame by frame, then as one', async () => {
    const { written, requests } = await caption(
      reader(6),
      { sampling: { kind: 'uniform', frames: 3 } },
      ({ pictures, messages }) =>
        pictures.length === 1
          ? `frame ${keysOf({ pictures } as unknown as VisionRequest)[0]}`
          : (messages[0]?.text ?? '').slice(0, 11),
      'mllama',
    );
    expect(requests.map(({ pictures }) => pictures.length)).toEqual([1, 1, 1, 0]);
    expect(requests[3]?.messages[0]?.text).toContain('2. [0:03] frame 3.000');
    expect(written.text).toBe('These lines');
  });

  test('without length is refused', async () => {
    await expect(caption(reader(0), {}, () => '')).rejects.toMatchObject({ code: 'bad-file' });
  });

  test('shows at most as many frames as the model can take', () => {
    expect(thinned([1, 2, 3], 5)).toEqual([1, 2, 3]);
    expect(thinned([0, 1, 2, 3, 4, 5, 6, 7], 4)).toEqual([1, 3, 5, 7]);
  });
});

describe('a page that decodes, on a machine without ffmpeg', () => {
  const { PATH } = process.env;
  beforeEach(() => {
    process.env['PATH'] = join(folder.path, 'nowhere');
  });
  afterEach(() => {
    process.env['PATH'] = PATH;
  });

  interface Page {
    readonly desk: ClipDesk;
    readonly wanted: ClipRequest[];
    leave(): Promise<void>;
  }

  async function openPage(answer: (request: ClipRequest, desk: ClipDesk) => void): Promise<Page> {
    const watchers = new CaptionWatchers(() => ({ counts: {}, batch: null, undo: null, redo: null }) as never);
    const desk = new ClipDesk(watchers);
    const leaving = new AbortController();
    const wanted: ClipRequest[] = [];
    const watching = (async () => {
      for await (const event of watchers.watch(true, leaving.signal)) {
        if (event.type !== 'wanted') continue;
        wanted.push(event.request);
        answer(event.request, desk);
      }
    })();
    while (watchers.decoder() === null) await new Promise((resolve) => setTimeout(resolve, 5));
    return {
      desk,
      wanted,
      leave: async () => {
        leaving.abort();
        await watching;
      },
    };
  }

  const file = (): { itemId: string; path: string; name: string } => ({ itemId: 'i', path, name: 'run.mp4' });
  const frameAt = (seconds: number): ClipFrame => ({
    seconds,
    width: 1,
    height: 1,
    encoding: 'rgb',
    bytes: new Uint8Array(3),
  });

  test('is asked for facts, then for frames in pieces that it can hold', async () => {
    const page = await openPage(({ requestId, want }, desk) => {
      if (want.type === 'facts') desk.giveFacts(requestId, { seconds: 30, width: 64, height: 36, codec: 'avc' });
      else {
        const [first = 0, ...rest] = want.seconds;
        desk.giveFrames(requestId, [frameAt(first)], rest.length === 0);
        if (rest.length > 0) desk.giveFrames(requestId, rest.map(frameAt), true);
      }
    });
    const clip = await page.desk.open(file(), abort.signal);
    expect(clip.facts.seconds).toBe(30);
    const times = Array.from({ length: 11 }, (_, at) => at);
    expect((await clip.frames(times, 640)).map(({ seconds }) => seconds)).toEqual(times);
    expect(page.wanted.map(({ want }) => (want.type === 'facts' ? 0 : want.seconds.length))).toEqual([0, 8, 3]);
    await page.leave();
  });

  test('that cannot, says why, with how to get ffmpeg', async () => {
    const page = await openPage(({ requestId }, desk) =>
      desk.fail(requestId, { code: 'not-supported', message: '"run.mp4" is encoded with hevc.', hint: 'Convert it.' }),
    );
    await expect(page.desk.open(file(), abort.signal)).rejects.toMatchObject({
      code: 'not-supported',
      message: '"run.mp4" is encoded with hevc.',
      hint: expect.stringMatching(/^Convert it\. Install ffmpeg/),
    });
    await page.leave();
  });

  test('that is closed in the middle fails the clip at once, not after a wait', async () => {
    const page = await openPage(({ requestId, want }, desk) => {
      if (want.type === 'facts') desk.giveFacts(requestId, { seconds: 30, width: 64, height: 36, codec: 'avc' });
    });
    const clip = await page.desk.open(file(), abort.signal);
    const frames = clip.frames([1, 2], 640);
    frames.catch(() => undefined);
    await page.leave();
    await expect(frames).rejects.toMatchObject({ code: 'not-supported' });
  });

  test('whose answer ends too early is told so', async () => {
    const page = await openPage(({ requestId, want }, desk) => {
      if (want.type === 'facts') desk.giveFacts(requestId, { seconds: 30, width: 64, height: 36, codec: 'avc' });
      else desk.giveFrames(requestId, [], true);
    });
    const clip = await page.desk.open(file(), abort.signal);
    await expect(clip.frames([1], 640)).rejects.toMatchObject({ message: '"run.mp4" ended too early.' });
    await page.leave();
  });
});
