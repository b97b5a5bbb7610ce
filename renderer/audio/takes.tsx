import { Copy, Download, Ellipsis, GitBranch, Hash, Pencil, Star, Trash2, Waves } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { Virtuoso } from 'react-virtuoso';
import type { AudioTake } from '../../contract/audio.ts';
import { useStudio } from '../client/context.tsx';
import { formatNumber } from '../i18n/format.ts';
import { cx, IconButton, Input, Menu, MenuItem, MenuSeparator, showError, showToast } from '../ui/index.ts';
import { useDragOut } from './drag-out.ts';
import { updateDraft, useAudio } from './store.ts';

/** Every take, newest first. */
export function Takes({ onExport }: { onExport: (take: AudioTake) => void }): ReactElement {
  const { t } = useTranslation();
  const takes = useAudio((state) => state.takes);
  const selectedId = useAudio((state) => state.selectedId);
  return (
    <Virtuoso
      aria-label={t('audio.takesList')}
      role="list"
      className="min-h-0 flex-1"
      data={takes}
      computeItemKey={(_at, { id }) => id}
      itemContent={(_at, take) => (
        <TakeRow
          take={take}
          parent={takes.find(({ id }) => id === take.parentId) ?? null}
          isSelected={take.id === selectedId}
          onExport={() => onExport(take)}
        />
      )}
    />
  );
}

function TakeRow({
  take,
  parent,
  isSelected,
  onExport,
}: {
  take: AudioTake;
  parent: AudioTake | null;
  isSelected: boolean;
  onExport: () => void;
}): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const [isRenaming, setRenaming] = useState(false);
  const dragOut = useDragOut(take);
  return (
    <div
      role="listitem"
      {...(isRenaming ? {} : dragOut)}
      className={cx(
        'flex items-center gap-3 border-b border-line px-4 py-2',
        isSelected ? 'bg-accent-soft' : 'hover:bg-hover/60',
      )}
    >
      <IconButton
        size="sm"
        label={take.isStarred ? t('audio.unstar', { name: take.name }) : t('audio.star', { name: take.name })}
        aria-pressed={take.isStarred}
        icon={<Star className={take.isStarred ? 'fill-current text-accent-ink' : ''} />}
        onClick={() => void client.audio.star({ takeId: take.id, isStarred: !take.isStarred }).catch(showError)}
      />
      <div className="min-w-0 flex-1">
        {isRenaming ? (
          <Rename take={take} onEnd={() => setRenaming(false)} />
        ) : (
          <button
            type="button"
            aria-current={isSelected}
            onClick={() => useAudio.setState({ selectedId: take.id })}
            onDoubleClick={() => setRenaming(true)}
            className="block w-full truncate text-left text-sm font-medium"
          >
            {take.name}
          </button>
        )}
        <p className="tnum truncate text-xs text-muted">
          {t('audio.seconds', { value: formatNumber(take.seconds, take.seconds < 1 ? 3 : 1) })} ·{' '}
          {t('audio.seedIs', { seed: take.seed })}
          {parent === null ? '' : ` · ${t('audio.variationOf', { name: parent.name })}`}
        </p>
      </div>
      <TinyWave takeId={take.id} />
      <Menu
        align="end"
        trigger={<IconButton size="sm" label={t('audio.actionsFor', { name: take.name })} icon={<Ellipsis />} />}
      >
        <MenuItem icon={<Download />} onSelect={onExport}>
          {t('audio.export')}
        </MenuItem>
        <MenuItem
          icon={<GitBranch />}
          onSelect={() => useAudio.setState({ source: { takeId: take.id, name: take.name, region: null } })}
        >
          {t('audio.vary')}
        </MenuItem>
        <MenuItem icon={<Copy />} onSelect={() => updateDraft({ ...take.settings, takes: 1 })}>
          {t('audio.useSettings')}
        </MenuItem>
        <MenuItem icon={<Hash />} onSelect={() => void copySeed()}>
          {t('audio.copySeed')}
        </MenuItem>
        <MenuItem icon={<Waves />} onSelect={() => useAudio.setState({ otherId: take.id })} disabled={isSelected}>
          {t('audio.compare')}
        </MenuItem>
        <MenuItem icon={<Pencil />} onSelect={() => setRenaming(true)}>
          {t('audio.rename')}
        </MenuItem>
        <MenuSeparator />
        <MenuItem danger icon={<Trash2 />} onSelect={() => void remove()}>
          {t('audio.delete')}
        </MenuItem>
      </Menu>
    </div>
  );

  async function copySeed(): Promise<void> {
    try {
      await navigator.clipboard.writeText(String(take.seed));
      showToast({ title: t('audio.seedCopied', { seed: take.seed }) });
    } catch (thrown) {
      showError(thrown);
    }
  }

  async function remove(): Promise<void> {
    try {
      await client.audio.remove({ takeId: take.id });
      showToast({
        title: t('audio.deleted', { name: take.name }),
        action: {
          label: t('common.undo'),
          onSelect: () => void client.audio.restore({ takeId: take.id }).catch(showError),
        },
      });
    } catch (thrown) {
      showError(thrown);
    }
  }
}

function Rename({ take, onEnd }: { take: AudioTake; onEnd: () => void }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const [name, setName] = useState(take.name);
  const save = (): void => {
    onEnd();
    if (name.trim() !== '' && name !== take.name) void client.audio.rename({ takeId: take.id, name }).catch(showError);
  };
  return (
    <Input
      autoFocus
      value={name}
      onValueChange={setName}
      aria-label={t('audio.name')}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.key === 'Enter') save();
        if (event.key === 'Escape') onEnd();
      }}
    />
  );
}

const parts = 60;

/** A take at a glance. */
function TinyWave({ takeId }: { takeId: string }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const abort = new AbortController();
    client.audio.peaks({ takeId, parts }, { signal: abort.signal }).then(
      ({ values }) => draw(canvas.current, new Int8Array(values.buffer, values.byteOffset, values.length)),
      () => undefined,
    );
    return () => abort.abort();
  }, [client, takeId]);
  return (
    <canvas
      ref={canvas}
      width={parts * 2}
      height={32}
      aria-hidden
      title={t('audio.dragOut')}
      className="h-8 w-30 shrink-0 max-sm:hidden"
    />
  );
}

function draw(canvas: HTMLCanvasElement | null, peaks: Int8Array): void {
  const context = canvas?.getContext('2d');
  if (canvas == null || context == null) return;
  const middle = canvas.height / 2;
  const fullScale = 127;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--muted').trim();
  for (let part = 0; part < parts; part += 1) {
    const low = (peaks[2 * part] ?? 0) / fullScale;
    const high = (peaks[2 * part + 1] ?? 0) / fullScale;
    context.fillRect(part * 2, middle - high * middle, 1, Math.max(1, (high - low) * middle));
  }
}
