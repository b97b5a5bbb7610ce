import { LoaderCircle } from 'lucide-react';
import type { ReactElement } from 'react';
import { cx } from './cx.ts';

/** Decoration: say in words beside it, or by `aria-busy`, what is being waited for. */
export function Spinner({ className }: { className?: string }): ReactElement {
  return <LoaderCircle aria-hidden className={cx('size-4 animate-spin', className)} />;
}
