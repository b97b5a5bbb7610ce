/** Where the person is: the panel and the open conversation, kept in the address so that a reload returns there. */
import { create } from 'zustand';

export const panels = ['chat', 'caption', 'audio', 'models', 'jobs', 'settings'] as const;
export type Panel = (typeof panels)[number];

/** Pages beside the panels: the first steps, and where to get larger models. */
export const pages = ['welcome', 'weights'] as const;
export type View = Panel | (typeof pages)[number];

export interface Place {
  readonly panel: View;
  /** The open conversation; null: a new one, not yet sent. Kept while another panel is shown. */
  readonly conversationId: string | null;
}

export interface Navigation extends Place {
  /** Changes what is given and keeps the rest. Adds an entry to the history where the address changes. */
  readonly go: (place: Partial<Place>) => void;
}

/** `#/chat/<conversation>`; `#/models`. */
export function placeToHash({ panel, conversationId }: Place): string {
  return panel === 'chat' && conversationId !== null ? `#/chat/${encodeURIComponent(conversationId)}` : `#/${panel}`;
}

/** An address that means nothing leads to the chat. */
export function placeFromHash(hash: string, conversationId: string | null = null): Place {
  const [, name = '', id] = hash.split('/');
  const panel = [...panels, ...pages].find((known) => known === name) ?? 'chat';
  if (panel !== 'chat') return { panel, conversationId };
  return { panel, conversationId: id === undefined || id === '' ? null : safeDecode(id) };
}

function safeDecode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export const useNavigation = create<Navigation>((set, get) => ({
  ...placeFromHash(window.location.hash),
  go(place) {
    set(place);
    const hash = placeToHash(get());
    if (hash !== window.location.hash) window.history.pushState(null, '', hash);
  },
}));

function readHash(): void {
  useNavigation.setState(({ conversationId }) => placeFromHash(window.location.hash, conversationId));
}
window.addEventListener('popstate', readHash);
window.addEventListener('hashchange', readHash);
