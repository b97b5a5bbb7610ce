/** What is done with the chosen items, errors told; removals can be undone at once. */
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../client/context.tsx';
import { showError, showToast } from '../ui/index.ts';
import { useModelId } from './models.ts';
import { settingsToUse, useCaptions } from './store.ts';

export const removedToast = 'captions removed';
const historyToast = 'captions undone';

export interface ItemActions {
  /** There is a model to do it with. */
  readonly canCaption: boolean;
  readonly lock: (itemIds: string[], isLocked: boolean) => void;
  /** Captions them, anew where they have one. */
  readonly retry: (itemIds: string[]) => void;
  readonly remove: (itemIds: string[]) => void;
  readonly clear: (itemIds: string[]) => void;
  readonly undo: () => void;
  readonly redo: () => void;
}

export function useItemActions(): ItemActions {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const { client } = useStudio();
  const modelId = useModelId();

  const undo = useCallback(() => {
    client.caption.undo({}).then(({ isDone }) => {
      if (isDone) showToast({ id: historyToast, title: t('undone'), timeoutMs: 3000 });
    }, showError);
  }, [client, t]);
  const redo = useCallback(() => {
    client.caption.redo({}).then(({ isDone }) => {
      if (isDone) showToast({ id: historyToast, title: t('redone'), timeoutMs: 3000 });
    }, showError);
  }, [client, t]);

  return useMemo(
    () => ({
      canCaption: modelId !== null,
      lock: (itemIds, isLocked) => void client.caption.lock({ itemIds, isLocked }).catch(showError),
      retry: (itemIds) => {
        if (modelId === null || itemIds.length === 0) return;
        const { draft, items: known } = useCaptions.getState();
        const start = async (): Promise<void> => {
          const [first] = itemIds;
          // A batch leaves what a person wrote alone; asked for this very one, it is meant. Undo has it.
          const isMeant = itemIds.length === 1 && first !== undefined && known.get(first)?.state === 'edited';
          if (isMeant) await client.caption.clear({ itemIds });
          const { items } = await client.caption.start({
            modelId,
            settings: settingsToUse(draft),
            itemIds,
            which: 'all',
          });
          if (items === 0) showToast({ title: t('run.nothing'), description: t('run.nothingHint'), tone: 'warning' });
        };
        start().catch(showError);
      },
      remove: (itemIds) => {
        if (itemIds.length === 0) return;
        client.caption.remove({ itemIds }).then(() => {
          showToast({
            id: removedToast,
            title: t('removed', { count: itemIds.length }),
            description: t('removedHint'),
            action: { label: studio('common.undo'), onSelect: undo },
          });
        }, showError);
      },
      clear: (itemIds) => void client.caption.clear({ itemIds }).catch(showError),
      undo,
      redo,
    }),
    [client, modelId, studio, t, undo, redo],
  );
}
