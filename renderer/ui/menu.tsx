import { Menu as Base } from '@base-ui/react/menu';
import { Check } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';
import { Kbd } from './kbd.tsx';

export interface MenuProps {
  /** A `Button` or `IconButton`. */
  trigger: ReactElement;
  children: ReactNode;
  side?: 'top' | 'bottom' | 'left' | 'right';
  align?: 'start' | 'center' | 'end';
}

export function Menu({ trigger, children, side = 'bottom', align = 'start' }: MenuProps): ReactElement {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner side={side} align={align} sideOffset={4} className="z-50 outline-none">
          <Base.Popup className="max-h-(--available-height) max-w-80 min-w-40 overflow-y-auto rounded-lg bg-surface p-1 shadow-float transition-opacity outline-none data-ending-style:opacity-0 data-starting-style:opacity-0">
            {children}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

const itemClass =
  'flex min-h-7 cursor-default items-center gap-2 rounded-md px-2 py-1 text-sm outline-none select-none data-disabled:text-faint data-highlighted:bg-hover [&_svg]:size-4 [&_svg]:shrink-0';

export interface MenuItemProps {
  children: ReactNode;
  onSelect: () => void;
  icon?: ReactNode;
  shortcut?: string;
  danger?: boolean;
  disabled?: boolean;
}

export function MenuItem({
  children,
  onSelect,
  icon,
  shortcut,
  danger = false,
  disabled = false,
}: MenuItemProps): ReactElement {
  return (
    <Base.Item onClick={onSelect} disabled={disabled} className={cx(itemClass, danger && 'text-danger')}>
      {icon}
      <span className="min-w-0 flex-1 truncate">{children}</span>
      {shortcut === undefined ? null : <Kbd keys={shortcut} />}
    </Base.Item>
  );
}

export interface MenuCheckItemProps {
  children: ReactNode;
  checked: boolean;
  onCheckedChange: (checked: boolean) => void;
  disabled?: boolean;
}

export function MenuCheckItem({
  children,
  checked,
  onCheckedChange,
  disabled = false,
}: MenuCheckItemProps): ReactElement {
  return (
    <Base.CheckboxItem
      checked={checked}
      onCheckedChange={(next) => onCheckedChange(next)}
      disabled={disabled}
      className={itemClass}
    >
      <span className="min-w-0 flex-1 truncate">{children}</span>
      <Base.CheckboxItemIndicator>
        <Check aria-hidden className="text-accent-ink" />
      </Base.CheckboxItemIndicator>
    </Base.CheckboxItem>
  );
}

export function MenuSeparator(): ReactElement {
  return <Base.Separator className="-mx-1 my-1 border-t border-line" />;
}

/** A heading over the items inside it. */
export function MenuGroup({ label, children }: { label: string; children: ReactNode }): ReactElement {
  return (
    <Base.Group>
      <Base.GroupLabel className="px-2 py-1 text-2xs font-medium text-faint">{label}</Base.GroupLabel>
      {children}
    </Base.Group>
  );
}
