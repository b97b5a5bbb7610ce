import {
  ArrowLeft,
  ChevronLeft,
  ChevronRight,
  Copy,
  Eraser,
  Lock,
  LockOpen,
  MessageCircleQuestion,
  RotateCcw,
  Trash2,
} from 'lucide-react';
import { useState } from 'react';
import type { ReactElement, RefObject } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem } from '../../contract/caption.ts';
import { EmptyState, ErrorNotice, IconButton, showError, showToast } from '../ui/index.ts';
import { Button } from '../ui/button.tsx';
import { Ask } from './ask.tsx';
import { ClipView } from './clip-view.tsx';
import { CaptionEditor } from './editor.tsx';
import { useWindow } from './follow.ts';
import { PictureView } from './picture-view.tsx';
import { only } from './selection.ts';
import { StateBadges } from './state.tsx';
import { updateSelection, useCaptions } from './store.ts';
import { clock } from './time.ts';
import type { ItemActions } from './use-actions.ts';

/** What main may say of a caption that it made. */
const notes = ['loop', 'cut', 'avoided'] as const;

/** The one that is looked at: large, with its caption as it is written. */
export function Detail({
  isAlone,
  actions,
  editorRef,
  onLeaveEditor,
}: {
  /** It has the whole panel, as in a narrow window. */
  isAlone: boolean;
  actions: ItemActions;
  editorRef: RefObject<HTMLTextAreaElement | null>;
  onLeaveEditor: () => void;
}): ReactElement {
  const { t } = useTranslation('caption');
  const ids = useCaptions((state) => state.ids);
  const activeId = useCaptions((state) => state.activeId);
  const index = activeId === null ? -1 : ids.indexOf(activeId);
  useWindow(Math.max(0, index), Math.max(0, index));
  const item = useCaptions(({ items }) => (activeId === null ? undefined : items.get(activeId)));
  if (item === undefined) {
    return (
      <div className="flex min-w-0 flex-1">
        <EmptyState icon={<ChevronLeft />} title={t('detail.none')} body={<p>{t('detail.noneHint')}</p>} />
      </div>
    );
  }
  return (
    <section aria-label={t('detail.title', { name: item.name })} className="flex min-h-0 min-w-0 flex-1 flex-col">
      <DetailHeader item={item} index={index} isAlone={isAlone} actions={actions} />
      <Shown key={item.id} item={item} actions={actions} editorRef={editorRef} onLeaveEditor={onLeaveEditor} />
    </section>
  );
}

function DetailHeader({
  item,
  index,
  isAlone,
  actions,
}: {
  item: CaptionItem;
  index: number;
  isAlone: boolean;
  actions: ItemActions;
}): ReactElement {
  const { t } = useTranslation('caption');
  const ids = useCaptions((state) => state.ids);
  const step = (by: 1 | -1): void => {
    const id = ids[index + by];
    if (id !== undefined) updateSelection(() => only(id));
  };
  const facts = [
    item.folder,
    item.width === null ? '' : `${item.width} × ${item.height}`,
    item.seconds === null ? '' : clock(Math.round(item.seconds)),
    item.modelName,
  ].filter((fact) => fact !== '');
  const isBusy = item.state === 'running';
  const Heading = isAlone ? 'h1' : 'h2';
  return (
    <header className="flex shrink-0 flex-wrap items-center gap-x-2 gap-y-1 border-b border-line px-3 py-1.5">
      <IconButton
        size="sm"
        label={t('detail.back')}
        icon={<ArrowLeft />}
        className="md:hidden"
        onClick={() => useCaptions.setState({ isDetailOpen: false })}
      />
      <div className="min-w-40 flex-1">
        <div className="flex items-center gap-2">
          <Heading className="min-w-0 truncate text-sm font-semibold" title={item.name}>
            {item.name}
          </Heading>
          <StateBadges item={item} />
        </div>
        <p className="tnum truncate text-xs text-muted">{facts.length === 0 ? '\u00a0' : facts.join(' · ')}</p>
      </div>
      <div className="flex items-center">
        <IconButton
          size="sm"
          label={t('detail.previous')}
          icon={<ChevronLeft />}
          disabled={index <= 0}
          onClick={() => step(-1)}
        />
        <IconButton
          size="sm"
          label={t('detail.next')}
          icon={<ChevronRight />}
          disabled={index < 0 || index >= ids.length - 1}
          onClick={() => step(1)}
        />
        <span className="mx-1 h-4 border-l border-line" />
        <IconButton
          size="sm"
          label={t('action.copy')}
          icon={<Copy />}
          disabled={item.text === ''}
          onClick={() => {
            navigator.clipboard
              .writeText(item.text)
              .then(() => showToast({ title: t('copied'), timeoutMs: 2000 }), showError);
          }}
        />
        <IconButton
          size="sm"
          label={t(item.isLocked ? 'action.unlock' : 'action.lock')}
          shortcut="KeyL"
          aria-pressed={item.isLocked}
          icon={item.isLocked ? <Lock /> : <LockOpen />}
          onClick={() => actions.lock([item.id], !item.isLocked)}
        />
        <IconButton
          size="sm"
          label={t(item.text === '' ? 'action.caption' : 'action.again')}
          shortcut="KeyR"
          icon={<RotateCcw />}
          disabled={isBusy || item.isLocked || !actions.canCaption}
          onClick={() => actions.retry([item.id])}
        />
        <IconButton
          size="sm"
          label={t('action.clear')}
          icon={<Eraser />}
          disabled={isBusy || item.isLocked || (item.text === '' && item.state === 'waiting')}
          onClick={() => actions.clear([item.id])}
        />
        <IconButton
          size="sm"
          label={t('action.remove')}
          shortcut="Delete"
          icon={<Trash2 />}
          disabled={isBusy}
          onClick={() => actions.remove([item.id])}
        />
      </div>
    </header>
  );
}

function Shown({
  item,
  actions,
  editorRef,
  onLeaveEditor,
}: {
  item: CaptionItem;
  actions: ItemActions;
  editorRef: RefObject<HTMLTextAreaElement | null>;
  onLeaveEditor: () => void;
}): ReactElement {
  const { t } = useTranslation('caption');
  const writing = useCaptions((state) => state.writing.get(item.id)) ?? null;
  const [isAsking, setAsking] = useState(false);
  const isRunning = item.state === 'running';
  const live = isRunning && writing !== null && writing.segment === null ? writing.text : null;
  const isClip = item.kind === 'clip';
  const note = notes.find((known) => known === item.note);
  return (
    <div className="flex min-h-0 flex-1 flex-col max-md:overflow-y-auto">
      {isClip ? (
        <ClipView item={item} writing={isRunning ? writing : null} onLeaveEditor={onLeaveEditor} />
      ) : (
        <PictureView item={item} />
      )}
      <div className="flex max-h-1/2 shrink-0 flex-col gap-2 overflow-y-auto border-t border-line bg-surface px-4 py-3 max-md:max-h-none">
        {item.error === null ? null : (
          <ErrorNotice
            error={item.error}
            actions={
              <Button size="sm" disabled={!actions.canCaption} onClick={() => actions.retry([item.id])}>
                {t('action.retry')}
              </Button>
            }
          />
        )}
        <CaptionEditor
          itemId={item.id}
          segment={null}
          text={item.text}
          writing={live}
          label={t(isClip ? 'detail.summary' : 'detail.caption')}
          isReadOnly={item.isLocked || isRunning}
          minRows={2}
          inputRef={editorRef}
          onLeave={onLeaveEditor}
        />
        {note === undefined ? null : <p className="text-xs text-warn">{t(`note.${note}`)}</p>}
        {item.isLocked ? <p className="text-xs text-muted">{t('detail.lockedHint')}</p> : null}
        {isAsking ? (
          <Ask item={item} onClose={() => setAsking(false)} />
        ) : (
          <Button
            size="sm"
            variant="ghost"
            className="-mx-2 self-start"
            icon={<MessageCircleQuestion />}
            disabled={!actions.canCaption}
            onClick={() => setAsking(true)}
          >
            {t(isClip ? 'ask.openClip' : 'ask.open')}
          </Button>
        )}
      </div>
    </div>
  );
}
