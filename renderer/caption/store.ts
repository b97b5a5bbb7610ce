/** What the Caption panel shows: the list as main tells of it, in windows, and what the person is preparing. */
import { create } from 'zustand';
import { captionSettingsSchema, defaultCaptionSettings } from '../../contract/caption-settings.ts';
import type { CaptionSettings } from '../../contract/caption-settings.ts';
import type {
  CaptionBatch,
  CaptionCounts,
  CaptionFilter,
  CaptionItem,
  CaptionSummary,
} from '../../contract/caption.ts';
import { z } from 'zod';
import { noSelection, only } from './selection.ts';
import type { Selection } from './selection.ts';

export interface Writing {
  readonly segment: number | null;
  readonly text: string;
}

const draftSchema = z.object({
  modelId: z.string().nullable().default(null),
  settings: captionSettingsSchema.default(defaultCaptionSettings),
  /** Asks `settings.prompt` rather than the preset; it is kept while a preset is tried. */
  hasOwnPrompt: z.boolean().default(false),
  /** Look at the first results before all others are made. */
  looksFirst: z.boolean().default(true),
  view: z.enum(['grid', 'list']).default('grid'),
});
export type Draft = z.infer<typeof draftSchema>;

export interface CaptionsState extends Selection {
  /** `loading` only until the first answer. */
  readonly status: 'loading' | 'ready';
  readonly filter: CaptionFilter;
  /** All that the filter lets through. */
  readonly ids: readonly string[];
  /** Those that were loaded so far; others are asked for when they come into view. */
  readonly items: ReadonlyMap<string, CaptionItem>;
  readonly counts: CaptionCounts;
  readonly batch: CaptionBatch | null;
  readonly undo: CaptionSummary['undo'];
  readonly redo: CaptionSummary['redo'];
  readonly writing: ReadonlyMap<string, Writing>;
  /** What the present batch made last, newest first. */
  readonly latestIds: readonly string[];
  /** Counts up when loaded windows are out of date. */
  readonly generation: number;
  readonly draft: Draft;
  /** In a narrow window: the large preview lies over the grid. */
  readonly isDetailOpen: boolean;
  /** The one that is being captioned is the one that is shown, until the person looks at another. */
  readonly isFollowing: boolean;
}

const storageKey = 'lutra.caption.draft';

function storedDraft(): Draft {
  try {
    return draftSchema.parse(JSON.parse(localStorage.getItem(storageKey) ?? ''));
  } catch {
    return draftSchema.parse({});
  }
}

const noCounts: CaptionCounts = { all: 0, waiting: 0, running: 0, done: 0, edited: 0, failed: 0, locked: 0 };

export const useCaptions = create<CaptionsState>(() => ({
  ...noSelection,
  status: 'loading',
  filter: { state: 'all', search: '' },
  ids: [],
  items: new Map(),
  counts: noCounts,
  batch: null,
  undo: null,
  redo: null,
  writing: new Map(),
  latestIds: [],
  generation: 0,
  draft: storedDraft(),
  isDetailOpen: false,
  isFollowing: false,
}));

export function updateDraft(patch: Partial<Draft>): void {
  useCaptions.setState(({ draft }) => ({ draft: { ...draft, ...patch } }));
  localStorage.setItem(storageKey, JSON.stringify(useCaptions.getState().draft));
}

export function updateSettings(patch: Partial<CaptionSettings>): void {
  updateDraft({ settings: { ...useCaptions.getState().draft.settings, ...patch } });
}

/** What the person chooses. */
export function updateSelection(change: (selection: Selection, ids: readonly string[]) => Selection): void {
  useCaptions.setState(({ activeId, anchorId, selected, ids }) => ({
    ...change({ activeId, anchorId, selected }, ids),
    isFollowing: false,
  }));
}

/** Shows the one that is being captioned, where that is wanted and the filter lets it through. */
export function followBatch(): void {
  useCaptions.setState(({ isFollowing, batch, ids }) => {
    const itemId = batch?.itemId ?? null;
    return isFollowing && itemId !== null && ids.includes(itemId) ? only(itemId) : {};
  });
}

export function setFilter(patch: Partial<CaptionFilter>): void {
  useCaptions.setState(({ filter, generation }) => ({
    filter: { ...filter, ...patch },
    generation: generation + 1,
  }));
}

/** What a batch is started with. */
export function settingsToUse({ settings, hasOwnPrompt }: Draft): CaptionSettings {
  return hasOwnPrompt ? settings : { ...settings, prompt: '' };
}

/** What keys and menus act on: the selection, else the one that is shown. */
export function chosenIds({ selected, activeId }: CaptionsState): string[] {
  if (selected.size > 0) return [...selected];
  return activeId === null ? [] : [activeId];
}

/** Whether main may still be writing its caption. */
export function isInTheMaking({ batch, items }: CaptionsState, itemId: string): boolean {
  return batch?.itemId === itemId || items.get(itemId)?.state === 'running';
}

const keptLatest = 6;

/** The state after main told of `changed` items. */
export function withItems(state: CaptionsState, changed: readonly CaptionItem[]): Partial<CaptionsState> {
  const items = new Map(state.items);
  const writing = new Map(state.writing);
  const made: string[] = [];
  for (const item of changed) {
    if (state.batch !== null && item.state === 'done' && items.get(item.id)?.state !== 'done') made.push(item.id);
    items.set(item.id, item);
    if (item.state !== 'running') writing.delete(item.id);
  }
  if (made.length === 0) return { items, writing };
  return { items, writing, latestIds: [...new Set([...made, ...state.latestIds])].slice(0, keptLatest) };
}
