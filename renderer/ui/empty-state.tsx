import type { ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';

export interface EmptyStateProps {
  icon: ReactNode;
  title: string;
  /** What belongs here and what to do first. */
  body: ReactNode;
  actions?: ReactNode;
  className?: string;
}

export function EmptyState({ icon, title, body, actions, className }: EmptyStateProps): ReactElement {
  return (
    <div className={cx('m-auto flex max-w-md flex-col items-center gap-2 p-8 text-center', className)}>
      <span aria-hidden className="pb-2 text-accent-ink [&_svg]:size-8 [&_svg]:stroke-[1.25]">
        {icon}
      </span>
      <h2 className="text-base font-semibold text-balance">{title}</h2>
      <div className="text-sm text-pretty text-muted">{body}</div>
      {actions === undefined ? null : <div className="flex flex-wrap justify-center gap-2 pt-3">{actions}</div>}
    </div>
  );
}
