import { Download, Image, Redo2, Replace, Undo2 } from 'lucide-react';
import { useRef, useState, useSyncExternalStore } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { RecognisedModels } from '../models/recognised.tsx';
import { formatNumber } from '../i18n/format.ts';
import { usePaletteActions, useShortcuts } from '../shell/registry.ts';
import { Button, EmptyState, IconButton, PanelHeader, ResizablePane, Spinner } from '../ui/index.ts';
import { AddMenu } from './add-menu.tsx';
import { Detail } from './detail.tsx';
import { ExportDialog } from './export-dialog.tsx';
import { useFollowedIds } from './follow.ts';
import { Grid } from './grid.tsx';
import { useCaptionModels } from './models.ts';
import { ReplaceDialog } from './replace-dialog.tsx';
import { RunBar } from './run-bar.tsx';
import { chosenIds, setFilter, useCaptions } from './store.ts';
import { Toolbar } from './toolbar.tsx';
import { useItemActions } from './use-actions.ts';
import type { ItemActions } from './use-actions.ts';

const narrow = window.matchMedia('(max-width: 47.99rem)');

function subscribe(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}

type OpenDialog = 'replace' | 'export' | null;

export default function CaptionPanel(): ReactElement {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const status = useCaptions((state) => state.status);
  const all = useCaptions(({ counts }) => counts.all);
  const undo = useCaptions((state) => state.undo);
  const redo = useCaptions((state) => state.redo);
  const isNarrow = useSyncExternalStore(subscribe, () => narrow.matches);
  const isDetailOpen = useCaptions((state) => state.isDetailOpen);
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const actions = useItemActions();
  useFollowedIds();
  useShortcuts(t('shortcuts.title'), {
    '$mod+KeyZ': { label: t('shortcuts.undo'), run: actions.undo, restsWhileTyping: true },
    '$mod+Shift+KeyZ': { label: null, run: actions.redo, restsWhileTyping: true },
    '$mod+KeyY': { label: t('shortcuts.redo'), run: actions.redo, restsWhileTyping: true },
    '$mod+KeyH': { label: t('replace.title'), run: () => setDialog('replace') },
    '$mod+KeyE': { label: t('export.title'), run: () => setDialog('export') },
  });
  usePaletteActions([
    { id: 'caption.replace', label: t('replace.title'), shortcut: '$mod+KeyH', run: () => setDialog('replace') },
    { id: 'caption.export', label: t('export.title'), shortcut: '$mod+KeyE', run: () => setDialog('export') },
    { id: 'caption.undo', label: t('shortcuts.undo'), shortcut: '$mod+KeyZ', run: actions.undo },
  ]);

  const isAlone = isNarrow && isDetailOpen && all > 0;

  return (
    <div className="flex min-w-0 flex-1 flex-col">
      {isAlone ? null : (
        <PanelHeader
          title={studio('panels.caption')}
          facts={all === 0 ? undefined : t('count', { count: all, number: formatNumber(all, 0) })}
        >
          {all === 0 ? null : (
            <>
              <IconButton
                label={undo === null ? t('shortcuts.undo') : t(`undo.${undo.step}`, { count: undo.items })}
                shortcut="$mod+KeyZ"
                icon={<Undo2 />}
                disabled={undo === null}
                onClick={actions.undo}
              />
              <IconButton
                label={redo === null ? t('shortcuts.redo') : t(`redo.${redo.step}`, { count: redo.items })}
                shortcut="$mod+KeyY"
                icon={<Redo2 />}
                disabled={redo === null}
                onClick={actions.redo}
              />
              <IconButton
                label={t('replace.title')}
                shortcut="$mod+KeyH"
                icon={<Replace />}
                onClick={() => setDialog('replace')}
              />
              <IconButton
                label={t('export.title')}
                shortcut="$mod+KeyE"
                icon={<Download />}
                onClick={() => setDialog('export')}
              />
              <AddMenu isPrimary={false} />
            </>
          )}
        </PanelHeader>
      )}
      {all > 0 ? (
        <>
          {isAlone ? null : <RunBar />}
          <Body actions={actions} isNarrow={isNarrow} isDetailOpen={isDetailOpen} />
        </>
      ) : status === 'loading' ? (
        <div role="status" className="m-auto flex items-center gap-2 text-muted">
          <Spinner /> {studio('common.loading')}
        </div>
      ) : (
        <Empty />
      )}
      {dialog === 'replace' ? <ReplaceDialog actions={actions} onClose={() => setDialog(null)} /> : null}
      {dialog === 'export' ? <ExportDialog onClose={() => setDialog(null)} /> : null}
    </div>
  );
}

function Empty(): ReactElement {
  const { t } = useTranslation('caption');
  const hasModel = useCaptionModels().length > 0;
  return (
    <div className="flex min-h-0 flex-1 overflow-y-auto">
      <EmptyState
        icon={<Image />}
        title={t('empty.title')}
        body={
          <div className="flex flex-col gap-2">
            <p>{t('empty.body')}</p>
            {hasModel ? null : (
              <RecognisedModels capability="caption" heading={t('empty.found')} none={t('empty.noModel')} />
            )}
          </div>
        }
        actions={<AddMenu isPrimary />}
      />
    </div>
  );
}

/** The list to the left, the one that is looked at to the right; in a narrow window one over the other. */
function Body({
  actions,
  isNarrow,
  isDetailOpen,
}: {
  actions: ItemActions;
  isNarrow: boolean;
  isDetailOpen: boolean;
}): ReactElement {
  const { t } = useTranslation('caption');
  const count = useCaptions(({ ids }) => ids.length);
  const status = useCaptions((state) => state.status);
  const filter = useCaptions((state) => state.filter);
  const grid = useRef<HTMLDivElement>(null);
  const editor = useRef<HTMLTextAreaElement>(null);
  const search = useRef<HTMLInputElement>(null);
  useShortcuts(t('shortcuts.title'), {
    '$mod+KeyF': { label: t('search'), run: () => search.current?.focus() },
  });
  // Bound by the list itself; here they are only listed.
  useShortcuts(
    t('shortcuts.list'),
    Object.fromEntries(
      (['Enter', 'KeyL', 'KeyR', 'Delete'] as const).map((key) => [key, { label: t(`shortcuts.${key}`), run: null }]),
    ),
  );
  const focusEditor = (): void => {
    // In a narrow window it is not there before it is shown.
    requestAnimationFrame(() => {
      editor.current?.focus();
      editor.current?.select();
    });
  };
  const keys = {
    onEdit: focusEditor,
    onLock: () => {
      const ids = chosenIds(useCaptions.getState());
      const { items } = useCaptions.getState();
      actions.lock(ids, !ids.every((id) => items.get(id)?.isLocked === true));
    },
    onRetry: () => actions.retry(chosenIds(useCaptions.getState())),
    onRemove: () => actions.remove(chosenIds(useCaptions.getState())),
  };
  const list = (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <Toolbar actions={actions} searchRef={search} />
      {count > 0 || status === 'loading' ? (
        <Grid keys={keys} gridRef={grid} />
      ) : (
        <div className="m-auto flex flex-col items-center gap-2 p-6 text-center text-sm text-muted">
          <p role="status">{filter.search === '' ? t('noneOfState') : t('noMatch', { search: filter.search })}</p>
          <Button size="sm" onClick={() => setFilter({ state: 'all', search: '' })}>
            {t('showAll')}
          </Button>
        </div>
      )}
    </div>
  );
  const leaveEditor = (): void => {
    if (isNarrow) useCaptions.setState({ isDetailOpen: false });
    requestAnimationFrame(() => grid.current?.focus());
  };
  const detail = <Detail isAlone={isNarrow} actions={actions} editorRef={editor} onLeaveEditor={leaveEditor} />;
  if (isNarrow) {
    return <div className="flex min-h-0 flex-1">{isDetailOpen ? detail : list}</div>;
  }
  return (
    <div className="flex min-h-0 flex-1">
      <ResizablePane
        label={t('paneWidth')}
        storageKey="captions"
        defaultWidthPx={440}
        minWidthPx={280}
        maxWidthPx={1100}
        className="max-w-[58%]"
      >
        {list}
      </ResizablePane>
      {detail}
    </div>
  );
}
