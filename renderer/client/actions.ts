/** What several panels do with main, errors told. */
import { createContext, useCallback, useContext } from 'react';
import type { Settings } from '../../contract/settings.ts';
import { showError } from '../ui/toast.tsx';
import type { Feeds } from './stores.ts';

export const FeedsContext = createContext<Feeds | null>(null);

export function useFeeds(): Feeds {
  const feeds = useContext(FeedsContext);
  if (feeds === null) throw new Error('useFeeds needs a FeedsContext above it.');
  return feeds;
}

/** Saves settings; a failure is shown as a toast. */
export function useUpdateSettings(): (patch: Partial<Settings>) => void {
  const feeds = useFeeds();
  return useCallback((patch) => void feeds.updateSettings(patch).catch(showError), [feeds]);
}
