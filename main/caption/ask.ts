/** A question about one picture or clip. The conversation so far comes with it. */
import { randomInt } from 'node:crypto';
import type { z } from 'zod';
import type { captionContract } from '../../contract/caption.ts';
import { planWindows } from '../../contract/sampling.ts';
import type { VisionPicture } from '../engine/protocol.ts';
import { keyOf, pictureOf, thinned } from './captioner.ts';
import type { CaptionTools } from './captioner.ts';
import type { CaptionRow } from './rows.ts';

type AskRequest = Omit<z.output<(typeof captionContract)['ask']['input']>, 'itemId' | 'modelId'>;
type AskEvent = z.output<(typeof captionContract)['ask']['event']>;

/** Of a clip, so many frames at most: an answer should not wait for more. */
const mostFrames = 16;
const frameSide = 1120;

export async function* askAbout(
  row: CaptionRow,
  { question, history, settings }: AskRequest,
  toolsOf: () => Promise<CaptionTools>,
  signal: AbortSignal,
): AsyncGenerator<AskEvent, void, undefined> {
  yield { stage: 'waiting', fraction: null, text: '' };
  const tools = await toolsOf();
  const { engine, model, threads, priority } = tools;
  const pictures = await picturesOf(row, settings, tools, signal);
  const events = engine.write(
    {
      model: { ...model, threads, precision: 'fast' },
      pictures,
      messages: [...history, { role: 'user', text: question }],
      maxTokens: settings.maxTokens,
      temperature: settings.temperature,
      repeatPenalty: 1,
      seed: settings.seed ?? randomInt(2 ** 32),
    },
    { signal, priority },
  );
  for await (const event of events) {
    if (event.type === 'loading') yield { stage: 'loading', fraction: event.fraction, text: '' };
    else if (event.type === 'looking') {
      const fraction = Math.min(1, (event.picture + event.fraction) / Math.max(1, pictures.length));
      yield { stage: 'looking', fraction, text: '' };
    } else if (event.type === 'text') yield { stage: 'answering', fraction: null, text: event.text };
    else yield { stage: 'done', fraction: null, text: event.text };
  }
}

async function picturesOf(
  row: CaptionRow,
  { sampling }: AskRequest['settings'],
  tools: CaptionTools,
  signal: AbortSignal,
): Promise<VisionPicture[]> {
  const key = await keyOf(row.path);
  if (row.kind === 'picture')
    return [{ key, name: row.name, source: { type: 'file', path: row.path }, isFrame: false }];
  const clip = await tools.openClip({ itemId: row.id, path: row.path, name: row.name }, signal);
  // Scenes are found for captions; here an even look will do.
  const plan = sampling.kind === 'scenes' ? ({ kind: 'uniform', frames: mostFrames } as const) : sampling;
  const times = planWindows(plan, clip.facts.seconds).flatMap((window) => window.times);
  const frames = await clip.frames(thinned(times, Math.min(mostFrames, tools.info.mostPictures)), frameSide);
  return frames.map((frame) => pictureOf(frame, key, row.name));
}
