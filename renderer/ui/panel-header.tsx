import type { ReactElement, ReactNode } from 'react';

/** The top line of a panel: its name, quiet facts, and what can be done. */
export function PanelHeader({
  title,
  facts,
  children,
}: {
  title: string;
  facts?: ReactNode;
  children?: ReactNode;
}): ReactElement {
  return (
    <header className="flex min-h-12 shrink-0 flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-2">
      <h1 className="text-base font-semibold">{title}</h1>
      {facts === undefined ? null : <span className="tnum text-xs text-muted">{facts}</span>}
      <div className="ml-auto flex min-w-0 flex-wrap items-center gap-2">{children}</div>
    </header>
  );
}
