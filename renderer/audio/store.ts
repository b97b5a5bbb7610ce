/** What the Audio panel shows: takes and the run as main tells of them, and what the person is preparing. */
import { create } from 'zustand';
import { audioSettingsSchema } from '../../contract/audio.ts';
import type { AudioRun, AudioSettings, AudioTake } from '../../contract/audio.ts';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { StudioClient } from '../client/studio.ts';
import { showError } from '../ui/toast.tsx';

/** A take to start from, as it is named in the panel; with a region only that part is made anew. */
export interface Source {
  readonly takeId: string;
  readonly name: string;
  readonly region: Region | null;
}

export interface Region {
  readonly start: number;
  readonly end: number;
}

/** The settings, but with a prompt that may still be empty. */
export type Draft = AudioSettings;

export interface AudioState {
  readonly status: 'loading' | 'ready';
  /** Newest first. */
  readonly takes: readonly AudioTake[];
  readonly run: AudioRun | null;
  readonly modelId: string | null;
  readonly draft: Draft;
  readonly source: Source | null;
  readonly selectedId: string | null;
  /** A second take to compare with; null for none. */
  readonly otherId: string | null;
  /** The chosen model's window in seconds; null until it is known. */
  readonly longestSeconds: number | null;
}

const storageKey = 'lutra.audio.draft';
const draftSchema = audioSettingsSchema.extend({
  prompt: audioSettingsSchema.shape.prompt.or(audioSettingsSchema.shape.negativePrompt),
});
const firstDraft: Draft = { ...audioSettingsSchema.parse({ prompt: '-', seconds: 10 }), prompt: '' };

function storedDraft(): Draft {
  try {
    return draftSchema.parse(JSON.parse(localStorage.getItem(storageKey) ?? ''));
  } catch {
    return firstDraft;
  }
}

export const useAudio = create<AudioState>(() => ({
  status: 'loading',
  takes: [],
  run: null,
  modelId: null,
  draft: storedDraft(),
  source: null,
  selectedId: null,
  otherId: null,
  longestSeconds: null,
}));

export function updateDraft(patch: Partial<Draft>): void {
  useAudio.setState(({ draft }) => ({ draft: { ...draft, ...patch } }));
  localStorage.setItem(storageKey, JSON.stringify(useAudio.getState().draft));
}

const retryMs = 1500;

/** Keeps the store true until `signal` fires. */
export async function followAudio(client: StudioClient, signal: AbortSignal): Promise<void> {
  const reload = async (): Promise<void> => {
    const takes = await client.audio.takes({}, { signal });
    useAudio.setState(({ selectedId }) => ({
      status: 'ready',
      takes,
      selectedId: takes.some(({ id }) => id === selectedId) ? selectedId : (takes[0]?.id ?? null),
    }));
  };
  while (!signal.aborted) {
    try {
      await reload();
      for await (const event of client.audio.watch({}, { signal })) {
        if (event.type === 'run') useAudio.setState({ run: event.run });
        else if (event.type === 'failed') showError(new LutraError(event.error));
        else await reload();
        if (event.type === 'made') useAudio.setState({ selectedId: event.take.id });
      }
    } catch (thrown) {
      if (signal.aborted) return;
      if (toErrorData(thrown).code !== 'disconnected') showError(thrown);
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}
