import { Slider as Base } from '@base-ui/react/slider';
import type { ReactElement } from 'react';
import { cx } from './cx.ts';

export interface SliderProps {
  value: number;
  /** While it moves. */
  onValueChange: (value: number) => void;
  /** When it is let go: the place to save. */
  onValueCommitted?: (value: number) => void;
  min: number;
  max: number;
  step?: number;
  label: string;
  disabled?: boolean;
  /** How the value is shown beside the track, and read aloud. */
  format?: (value: number) => string;
  className?: string;
}

/** A slider with its value to the right. */
export function Slider({
  value,
  onValueChange,
  onValueCommitted,
  label,
  format = String,
  className,
  ...range
}: SliderProps): ReactElement {
  return (
    <Base.Root
      value={value}
      onValueChange={(next) => onValueChange(next)}
      onValueCommitted={(next) => onValueCommitted?.(next)}
      {...range}
      className={cx('flex w-full items-center gap-3 data-disabled:opacity-50', className)}
    >
      <Base.Control className="flex h-8 min-w-0 flex-1 touch-none items-center select-none">
        <Base.Track className="h-1 w-full rounded-full bg-pressed">
          <Base.Indicator className="rounded-full bg-accent" />
          <Base.Thumb
            aria-label={label}
            getAriaValueText={(_formatted, thumbValue) => format(thumbValue)}
            className="size-3.5 rounded-full border-2 border-accent bg-surface has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-accent"
          />
        </Base.Track>
      </Base.Control>
      <output className="tnum w-12 shrink-0 text-right text-xs text-muted">{format(value)}</output>
    </Base.Root>
  );
}
