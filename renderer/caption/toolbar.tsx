import { Eraser, Grid2x2, Lock, LockOpen, RotateCcw, Rows3, Search, Trash2, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { ReactElement, RefObject } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionFilter } from '../../contract/caption.ts';
import { formatNumber } from '../i18n/format.ts';
import { cx, IconButton, Input } from '../ui/index.ts';
import { only } from './selection.ts';
import { setFilter, updateDraft, updateSelection, useCaptions } from './store.ts';
import type { ItemActions } from './use-actions.ts';

const states = ['all', 'waiting', 'running', 'done', 'edited', 'locked', 'failed'] as const;
/** A pause in typing after which it is searched. */
const searchAfterMs = 250;

/** Which of the list is shown, and how; with several chosen, what to do with them. */
export function Toolbar({
  actions,
  searchRef,
}: {
  actions: ItemActions;
  searchRef: RefObject<HTMLInputElement | null>;
}): ReactElement {
  const { t } = useTranslation('caption');
  const selectedCount = useCaptions(({ selected }) => selected.size);
  const view = useCaptions(({ draft }) => draft.view);
  return (
    <div className="flex shrink-0 flex-col gap-1.5 border-b border-line p-2">
      <div className="flex items-center gap-1">
        <SearchField searchRef={searchRef} />
        <IconButton
          label={t(view === 'grid' ? 'view.list' : 'view.grid')}
          icon={view === 'grid' ? <Rows3 /> : <Grid2x2 />}
          onClick={() => updateDraft({ view: view === 'grid' ? 'list' : 'grid' })}
        />
      </div>
      {selectedCount > 1 ? <SelectionBar actions={actions} count={selectedCount} /> : <Filters />}
    </div>
  );
}

function SearchField({ searchRef }: { searchRef: RefObject<HTMLInputElement | null> }): ReactElement {
  const { t } = useTranslation('caption');
  const search = useCaptions(({ filter }) => filter.search);
  const [text, setText] = useState(search);
  const asked = useRef(search);
  useEffect(() => {
    if (text === asked.current) return;
    const timer = setTimeout(() => {
      asked.current = text;
      setFilter({ search: text });
    }, searchAfterMs);
    return () => clearTimeout(timer);
  }, [text]);
  // Cleared from elsewhere.
  useEffect(() => {
    if (search === asked.current) return;
    asked.current = search;
    setText(search);
  }, [search]);
  return (
    <span className="relative min-w-0 flex-1">
      <Input
        ref={searchRef}
        type="search"
        icon={<Search />}
        value={text}
        onValueChange={setText}
        maxLength={500}
        aria-label={t('search')}
        placeholder={t('search')}
        onKeyDown={(event) => {
          if (event.key !== 'Escape' || text === '') return;
          event.stopPropagation();
          setText('');
        }}
      />
    </span>
  );
}

function Filters(): ReactElement {
  const { t } = useTranslation('caption');
  const counts = useCaptions((state) => state.counts);
  const chosen = useCaptions(({ filter }) => filter.state);
  const shown = states.filter((state) => state === 'all' || state === chosen || counts[state] > 0);
  return (
    <div role="group" aria-label={t('filters')} className="flex flex-wrap gap-1">
      {shown.map((state) => (
        <FilterButton key={state} state={state} count={counts[state]} isChosen={state === chosen} />
      ))}
    </div>
  );
}

function FilterButton({
  state,
  count,
  isChosen,
}: {
  state: CaptionFilter['state'];
  count: number;
  isChosen: boolean;
}): ReactElement {
  const { t } = useTranslation('caption');
  return (
    <button
      type="button"
      aria-pressed={isChosen}
      onClick={() => setFilter({ state })}
      className={cx(
        'tnum h-6 rounded-full border px-2 text-xs whitespace-nowrap transition-colors',
        isChosen
          ? 'border-accent bg-accent-soft font-medium text-accent-ink'
          : 'border-line text-muted hover:bg-hover hover:text-ink',
      )}
    >
      {t(`filter.${state}`)} {formatNumber(count, 0)}
    </button>
  );
}

function SelectionBar({ actions, count }: { actions: ItemActions; count: number }): ReactElement {
  const { t } = useTranslation('caption');
  const chosen = (): string[] => [...useCaptions.getState().selected];
  return (
    <div role="group" aria-label={t('selection')} className="flex h-6 items-center gap-0.5">
      <span role="status" className="tnum min-w-0 flex-1 truncate px-1 text-xs font-medium text-accent-ink">
        {t('selected', { count, number: formatNumber(count, 0) })}
      </span>
      <IconButton
        size="sm"
        label={t('action.captionSelected')}
        icon={<RotateCcw />}
        disabled={!actions.canCaption}
        onClick={() => actions.retry(chosen())}
      />
      <IconButton size="sm" label={t('action.lock')} icon={<Lock />} onClick={() => actions.lock(chosen(), true)} />
      <IconButton
        size="sm"
        label={t('action.unlock')}
        icon={<LockOpen />}
        onClick={() => actions.lock(chosen(), false)}
      />
      <IconButton
        size="sm"
        label={t('action.clearSelected')}
        icon={<Eraser />}
        onClick={() => actions.clear(chosen())}
      />
      <IconButton
        size="sm"
        label={t('action.removeSelected')}
        icon={<Trash2 />}
        onClick={() => actions.remove(chosen())}
      />
      <IconButton
        size="sm"
        label={t('unselect')}
        icon={<X />}
        onClick={() =>
          updateSelection((selection, ids) => {
            const id = selection.activeId ?? ids[0];
            return id === undefined ? selection : only(id);
          })
        }
      />
    </div>
  );
}
