import type { ReactElement, ReactNode } from 'react';

/** A group of rows under a quiet heading. */
export function Group({ heading, children }: { heading?: string; children: ReactNode }): ReactElement {
  return (
    <div className="pb-6">
      {heading === undefined ? null : <h3 className="pt-2 pb-1 text-xs font-semibold text-muted">{heading}</h3>}
      <div className="divide-y divide-line border-y border-line">{children}</div>
    </div>
  );
}
