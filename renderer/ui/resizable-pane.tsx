import { useRef, useState } from 'react';
import type { KeyboardEvent, PointerEvent, ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';

export interface ResizablePaneProps {
  /** Names the divider, e.g. "Width of the list". */
  label: string;
  /** The width is kept in this browser under this name. */
  storageKey: string;
  defaultWidthPx: number;
  minWidthPx: number;
  maxWidthPx: number;
  /** Where the divider is. `end`: the pane is at the left of what follows. */
  divider?: 'start' | 'end';
  children: ReactNode;
  className?: string;
}

const stepPx = 16;

function storedWidth(key: string): number | null {
  const stored = Number(localStorage.getItem(`lutra.pane.${key}`) ?? Number.NaN);
  return Number.isFinite(stored) ? stored : null;
}

/** A pane of adjustable width: drag the divider, or focus it and use the arrows, Home and End. */
export function ResizablePane({
  label,
  storageKey,
  defaultWidthPx,
  minWidthPx,
  maxWidthPx,
  divider = 'end',
  children,
  className,
}: ResizablePaneProps): ReactElement {
  const clamp = (width: number): number => Math.round(Math.min(maxWidthPx, Math.max(minWidthPx, width)));
  const [widthPx, setWidthPx] = useState(() => clamp(storedWidth(storageKey) ?? defaultWidthPx));
  const drag = useRef<{ startX: number; startWidthPx: number } | null>(null);
  const direction = divider === 'end' ? 1 : -1;

  const resize = (width: number): void => {
    const next = clamp(width);
    setWidthPx(next);
    localStorage.setItem(`lutra.pane.${storageKey}`, String(next));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const widths: Record<string, number> = {
      ArrowLeft: widthPx - stepPx * direction,
      ArrowRight: widthPx + stepPx * direction,
      Home: minWidthPx,
      End: maxWidthPx,
    };
    const width = widths[event.key];
    if (width === undefined) return;
    event.preventDefault();
    resize(width);
  };
  const onPointerDown = (event: PointerEvent<HTMLDivElement>): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { startX: event.clientX, startWidthPx: widthPx };
  };
  const onPointerMove = (event: PointerEvent): void => {
    if (drag.current === null) return;
    resize(drag.current.startWidthPx + (event.clientX - drag.current.startX) * direction);
  };
  const handle = (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={widthPx}
      aria-valuemin={minWidthPx}
      aria-valuemax={maxWidthPx}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={() => (drag.current = null)}
      onDoubleClick={() => resize(defaultWidthPx)}
      className={cx(
        'absolute inset-y-0 z-10 w-1.5 cursor-col-resize touch-none after:absolute after:inset-y-0 after:w-px after:bg-line hover:after:bg-accent focus-visible:outline-none focus-visible:after:w-0.5 focus-visible:after:bg-accent',
        divider === 'end' ? 'right-0 after:right-0' : 'left-0 after:left-0',
      )}
    />
  );
  return (
    <div className={cx('relative flex min-h-0 max-w-full shrink-0 flex-col', className)} style={{ width: widthPx }}>
      {children}
      {handle}
    </div>
  );
}
