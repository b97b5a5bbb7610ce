import { Progress as Base } from '@base-ui/react/progress';
import type { ReactElement } from 'react';
import { cx } from './cx.ts';

export interface ProgressProps {
  /** 0 to 1; null while it cannot be told. */
  fraction: number | null;
  label: string;
  className?: string;
}

export function Progress({ fraction, label, className }: ProgressProps): ReactElement {
  return (
    <Base.Root
      value={fraction === null ? null : Math.min(1, Math.max(0, fraction))}
      min={0}
      max={1}
      aria-label={label}
      className={cx('block w-full', className)}
    >
      <Base.Track className="block h-1 overflow-hidden rounded-full bg-pressed">
        <Base.Indicator className="block h-full rounded-full bg-accent transition-[width] data-indeterminate:w-1/3 data-indeterminate:animate-pulse" />
      </Base.Track>
    </Base.Root>
  );
}
