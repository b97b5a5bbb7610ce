import { Film, ImageOff, Lock } from 'lucide-react';
import type { MouseEvent, ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem } from '../../contract/caption.ts';
import { cx, Spinner } from '../ui/index.ts';
import { usePicture } from './pictures.ts';
import { StateBadges, stateIcons } from './state.tsx';
import { useCaptions } from './store.ts';
import { clock } from './time.ts';

/** Sharp on dense screens, and one size for both views so that it is fetched once. */
const thumbnailSide = 320;

export interface TileProps {
  readonly itemId: string;
  readonly position: number;
  readonly count: number;
  readonly isSelected: boolean;
  readonly isActive: boolean;
  readonly view: 'grid' | 'list';
  readonly onPress: (event: MouseEvent) => void;
}

export const optionId = (itemId: string): string => `caption-${itemId}`;

/** One picture or clip of the list. What is not loaded yet holds its place. */
export function Tile({ itemId, position, count, isSelected, isActive, view, onPress }: TileProps): ReactElement {
  const item = useCaptions(({ items }) => items.get(itemId)) ?? null;
  const writing = useCaptions((state) => state.writing.get(itemId)?.text);
  const text = item === null ? '' : item.state === 'running' ? (writing ?? item.text) : item.text;
  return (
    // The list itself has the focus and the keys.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
    <div
      role="option"
      id={optionId(itemId)}
      aria-selected={isSelected}
      aria-setsize={count}
      aria-posinset={position + 1}
      onClick={onPress}
      className={cx(
        'min-w-0 cursor-default overflow-hidden rounded-lg border-2 border-transparent select-none',
        isSelected ? 'bg-accent-soft' : 'hover:bg-hover/70',
        isActive && 'border-accent',
        view === 'grid' ? 'flex flex-col p-1' : 'flex h-full items-center gap-3 px-2',
      )}
    >
      {view === 'grid' ? <GridTile item={item} text={text} /> : <ListTile item={item} text={text} />}
    </div>
  );
}

function GridTile({ item, text }: { item: CaptionItem | null; text: string }): ReactElement {
  const { t } = useTranslation('caption');
  return (
    <>
      <div className="relative aspect-4/3 w-full overflow-hidden rounded-md bg-sunken">
        <Thumbnail item={item} />
        {item === null ? null : <Corner item={item} />}
      </div>
      <p className="truncate px-0.5 pt-1 text-xs font-medium">{item?.name ?? t('loadingItem')}</p>
      {item === null ? null : (
        <p className={cx('truncate px-0.5 text-2xs', item.error === null ? 'text-muted' : 'text-danger')}>
          <span className="sr-only">
            {t(`state.${item.state}`)} {item.isLocked ? t('state.locked') : null}
          </span>
          {item.error === null ? text : item.error.message}
        </p>
      )}
    </>
  );
}

/** Waiting is how everything begins: it needs no mark. */
function Corner({ item }: { item: CaptionItem }): ReactElement {
  return (
    <span className="absolute top-1 right-1 flex gap-1 text-ink [&_svg]:size-3.5">
      {item.isLocked ? (
        <span className="rounded bg-surface/90 p-0.5 text-warn">
          <Lock aria-hidden />
        </span>
      ) : null}
      {item.state === 'waiting' ? null : (
        <span
          className={cx(
            'rounded bg-surface/90 p-0.5',
            item.state === 'failed' ? 'text-danger' : item.state === 'running' ? 'text-accent-ink' : 'text-ok',
          )}
        >
          {stateIcons[item.state]}
        </span>
      )}
    </span>
  );
}

function ListTile({ item, text }: { item: CaptionItem | null; text: string }): ReactElement {
  const { t } = useTranslation('caption');
  return (
    <>
      <div className="relative h-14 w-19 shrink-0 overflow-hidden rounded-md bg-sunken">
        <Thumbnail item={item} />
      </div>
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2">
          <span className="min-w-0 truncate text-xs font-medium">{item?.name ?? t('loadingItem')}</span>
          <span className="min-w-0 flex-1 truncate text-2xs text-faint">{item?.folder}</span>
          {item === null || (item.state === 'waiting' && !item.isLocked) ? null : <StateBadges item={item} />}
        </p>
        <p className={cx('line-clamp-2 text-xs', item?.error == null ? 'text-muted' : 'text-danger')}>
          {item?.error == null ? text : item.error.message}
        </p>
      </div>
    </>
  );
}

function Thumbnail({ item }: { item: CaptionItem | null }): ReactElement {
  const picture = usePicture(item?.id ?? null, thumbnailSide);
  return (
    <>
      {typeof picture === 'object' ? (
        <img src={picture.address} alt="" draggable={false} className="size-full object-cover" />
      ) : picture === 'missing' && item !== null ? (
        <ImageOff aria-hidden className="absolute top-1/2 left-1/2 size-5 -translate-1/2 stroke-[1.25] text-faint" />
      ) : (
        <Spinner className="absolute top-1/2 left-1/2 -translate-1/2 text-faint motion-reduce:animate-none" />
      )}
      {item?.kind === 'clip' ? (
        <span className="tnum absolute bottom-1 left-1 flex items-center gap-1 rounded bg-surface/90 px-1 text-2xs text-ink [&_svg]:size-3">
          <Film aria-hidden />
          {item.seconds === null ? null : clock(Math.round(item.seconds))}
        </span>
      ) : null}
    </>
  );
}
