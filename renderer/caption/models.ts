import type { Model } from '../../contract/models.ts';
import { useModels } from '../client/stores.ts';
import { useCaptions } from './store.ts';

/** Those that can look at pictures. */
export function useCaptionModels(): readonly Model[] {
  const models = useModels(({ items }) => items);
  return models.filter(({ capabilities, status }) => capabilities.includes('caption') && status === 'ready');
}

/** The chosen one, while it is there; else the first. */
export function useModelId(): string | null {
  const models = useCaptionModels();
  const chosen = useCaptions(({ draft }) => draft.modelId);
  return models.some(({ id }) => id === chosen) ? chosen : (models[0]?.id ?? null);
}
