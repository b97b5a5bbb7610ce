import { Switch as Base } from '@base-ui/react/switch';
import type { ReactElement } from 'react';

export interface SwitchProps {
  checked: boolean;
  onCheckedChange: (checked: boolean) => void;
  disabled?: boolean;
  /** Needed where no `Field` labels it. */
  'aria-label'?: string;
}

export function Switch({ checked, onCheckedChange, disabled = false, 'aria-label': label }: SwitchProps): ReactElement {
  return (
    <Base.Root
      checked={checked}
      onCheckedChange={(next) => onCheckedChange(next)}
      disabled={disabled}
      aria-label={label}
      className="flex h-5 w-9 shrink-0 rounded-full border border-faint bg-sunken p-0.5 transition-colors data-checked:border-accent data-checked:bg-accent data-disabled:opacity-50"
    >
      <Base.Thumb className="size-3.5 rounded-full bg-faint transition-transform data-checked:translate-x-4 data-checked:bg-on-accent" />
    </Base.Root>
  );
}
