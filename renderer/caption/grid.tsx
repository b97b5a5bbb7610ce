import { useEffect, useLayoutEffect, useState } from 'react';
import type { KeyboardEvent, MouseEvent, ReactElement, RefObject } from 'react';
import { useTranslation } from 'react-i18next';
import { useWindow } from './follow.ts';
import { movedIndex, only, select, selectAll } from './selection.ts';
import { updateSelection, useCaptions } from './store.ts';
import { optionId, Tile } from './tile.tsx';

const narrowestTilePx = 128;
const gapPx = 4;
const paddingPx = 8;
/** Under the picture of a tile: its name, a line of its caption, and the frame. */
const tileWordsPx = 50;
const listRowPx = 72;
/** Rows that are drawn beyond what can be seen, so that scrolling finds them there. */
const spareRows = 2;

export interface GridKeys {
  readonly onEdit: () => void;
  readonly onLock: () => void;
  readonly onRetry: () => void;
  readonly onRemove: () => void;
}

/** Everything that the filter lets through; only what can be seen is drawn, and asked for. */
export function Grid({ keys, gridRef }: { keys: GridKeys; gridRef: RefObject<HTMLDivElement | null> }): ReactElement {
  const { t } = useTranslation('caption');
  const ids = useCaptions((state) => state.ids);
  const view = useCaptions(({ draft }) => draft.view);
  const activeId = useCaptions((state) => state.activeId);
  const selected = useCaptions((state) => state.selected);
  const { widthPx, heightPx, topPx } = useViewport(gridRef);
  const columns =
    view === 'list' ? 1 : Math.max(1, Math.floor((widthPx - 2 * paddingPx + gapPx) / (narrowestTilePx + gapPx)));
  const tilePx = (widthPx - 2 * paddingPx - (columns - 1) * gapPx) / columns;
  // A frame of 2 px and a padding of 4 px on each side lie around the picture.
  const rowPx = view === 'list' ? listRowPx : Math.round(((tilePx - 12) * 3) / 4 + tileWordsPx + gapPx);
  const rows = Math.ceil(ids.length / columns);
  const from = Math.max(0, Math.floor(topPx / rowPx) - spareRows);
  const to = Math.min(rows, Math.ceil((topPx + heightPx) / rowPx) + spareRows);
  useWindow(from * columns, to * columns - 1);

  const index = activeId === null ? -1 : ids.indexOf(activeId);
  const activeRow = Math.floor(index / columns);
  useLayoutEffect(() => {
    const element = gridRef.current;
    if (element === null || activeRow < 0 || widthPx === 0) return;
    const [top, bottom] = [activeRow * rowPx, (activeRow + 1) * rowPx + gapPx];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  }, [gridRef, activeRow, rowPx, widthPx]);

  const press = (id: string) => (event: MouseEvent) => {
    const how = event.shiftKey ? 'extend' : event.ctrlKey || event.metaKey ? 'toggle' : 'only';
    updateSelection((selection, all) => select(selection, all, id, how));
    if (how === 'only') useCaptions.setState({ isDetailOpen: true });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.altKey) return;
    const isModified = event.ctrlKey || event.metaKey;
    if (isModified && event.key.toLowerCase() === 'a') updateSelection(selectAll);
    else if (isModified && event.key !== 'Home' && event.key !== 'End') return;
    else if (event.key === ' ' && activeId !== null)
      updateSelection((selection, all) => select(selection, all, activeId, 'toggle'));
    else if (event.key === 'Escape' && selected.size > 1 && activeId !== null) updateSelection(() => only(activeId));
    else if (event.key === 'Enter') {
      useCaptions.setState({ isDetailOpen: true });
      keys.onEdit();
    } else if (event.key.toLowerCase() === 'l') keys.onLock();
    else if (event.key.toLowerCase() === 'r') keys.onRetry();
    else if (event.key === 'Delete' || event.key === 'Backspace') keys.onRemove();
    else {
      const target = movedIndex(event.key, index, ids.length, columns, Math.max(1, Math.floor(heightPx / rowPx)));
      const id = target === null ? undefined : ids[target];
      if (id === undefined) return;
      updateSelection((selection, all) => select(selection, all, id, event.shiftKey ? 'extend' : 'only'));
    }
    event.preventDefault();
  };

  return (
    <div
      ref={gridRef}
      role="listbox"
      aria-label={t('grid')}
      aria-multiselectable
      aria-activedescendant={activeRow >= from && activeRow < to && activeId !== null ? optionId(activeId) : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      className="relative min-h-0 flex-1 overflow-y-auto outline-none focus-visible:outline-2 focus-visible:-outline-offset-2"
    >
      <div style={{ height: widthPx === 0 ? 0 : rows * rowPx + gapPx }}>
        {widthPx === 0
          ? null
          : Array.from({ length: to - from }, (_, at) => from + at).map((row) => (
              <div
                key={row}
                className="absolute inset-x-0 grid gap-1 px-2 pt-1"
                style={{ top: row * rowPx, height: rowPx, gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}
              >
                {ids.slice(row * columns, (row + 1) * columns).map((id, at) => (
                  <Tile
                    key={id}
                    itemId={id}
                    position={row * columns + at}
                    count={ids.length}
                    view={view}
                    isSelected={selected.has(id)}
                    isActive={id === activeId}
                    onPress={press(id)}
                  />
                ))}
              </div>
            ))}
      </div>
    </div>
  );
}

/** What of the scrolled element can be seen. */
function useViewport(element: RefObject<HTMLElement | null>): { widthPx: number; heightPx: number; topPx: number } {
  const [viewport, setViewport] = useState({ widthPx: 0, heightPx: 0, topPx: 0 });
  useEffect(() => {
    const scroller = element.current;
    if (scroller === null) return;
    const measure = (): void =>
      setViewport({ widthPx: scroller.clientWidth, heightPx: scroller.clientHeight, topPx: scroller.scrollTop });
    const observer = new ResizeObserver(measure);
    observer.observe(scroller);
    scroller.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      scroller.removeEventListener('scroll', measure);
    };
  }, [element]);
  return viewport;
}
