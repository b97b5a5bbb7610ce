import { Tooltip as Base } from '@base-ui/react/tooltip';
import type { ReactElement } from 'react';
import { Kbd } from './kbd.tsx';

export type Side = 'top' | 'right' | 'bottom' | 'left';

export interface TooltipProps {
  label: string;
  shortcut?: string | undefined;
  side?: Side;
  /** One focusable element. It must have its own accessible name: a tooltip only repeats it. */
  children: ReactElement;
}

export function Tooltip({ label, shortcut, side = 'bottom', children }: TooltipProps): ReactElement {
  return (
    <Base.Root>
      <Base.Trigger render={children} />
      <Base.Portal>
        <Base.Positioner side={side} sideOffset={6} className="z-50">
          <Base.Popup
            aria-hidden
            className="flex max-w-72 items-center gap-2 rounded-md bg-surface px-2 py-1 text-xs text-ink shadow-float transition-opacity data-ending-style:opacity-0 data-starting-style:opacity-0"
          >
            {label}
            {shortcut === undefined ? null : <Kbd keys={shortcut} />}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

export const TooltipProvider = Base.Provider;
