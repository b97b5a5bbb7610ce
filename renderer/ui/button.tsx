import type { ComponentProps, ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';
import { Spinner } from './spinner.tsx';
import { Tooltip } from './tooltip.tsx';
import type { Side } from './tooltip.tsx';

export type ButtonVariant = 'primary' | 'secondary' | 'ghost' | 'danger';
export type ButtonSize = 'sm' | 'md';

const base =
  'inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap select-none transition-colors disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0';

const variants: Record<ButtonVariant, string> = {
  primary: 'bg-accent text-on-accent enabled:hover:bg-accent-hover',
  secondary:
    'border border-line-strong bg-surface text-ink enabled:hover:bg-hover enabled:active:bg-pressed data-popup-open:bg-hover',
  ghost: 'text-muted enabled:hover:bg-hover enabled:hover:text-ink enabled:active:bg-pressed data-popup-open:bg-hover',
  danger: 'border border-line-strong bg-surface text-danger enabled:hover:border-danger enabled:hover:bg-danger-soft',
};

const sizes: Record<ButtonSize, string> = { sm: 'h-7 px-2.5 text-xs', md: 'h-8 px-3 text-sm' };

export interface ButtonProps extends ComponentProps<'button'> {
  variant?: ButtonVariant;
  size?: ButtonSize;
  /** Shown before the label. */
  icon?: ReactNode;
  /** Shows a spinner and ignores clicks; the button keeps its focus. */
  isBusy?: boolean;
}

/** One per view may be `primary`. */
export function Button({
  variant = 'secondary',
  size = 'md',
  icon,
  isBusy = false,
  className,
  children,
  onClick,
  ...rest
}: ButtonProps): ReactElement {
  return (
    <button
      type="button"
      aria-busy={isBusy || undefined}
      aria-disabled={isBusy || undefined}
      onClick={isBusy ? undefined : onClick}
      {...rest}
      className={cx(base, sizes[size], variants[variant], className)}
    >
      {isBusy ? <Spinner /> : icon}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Omit<ComponentProps<'button'>, 'aria-label' | 'children'> {
  /** Read by screen readers and shown as the tooltip. */
  label: string;
  icon: ReactNode;
  variant?: ButtonVariant;
  size?: ButtonSize;
  /** Keys as in `useShortcuts`, shown in the tooltip. */
  shortcut?: string | undefined;
  tooltipSide?: Side;
}

export function IconButton({
  label,
  icon,
  variant = 'ghost',
  size = 'md',
  shortcut,
  tooltipSide = 'bottom',
  className,
  ...rest
}: IconButtonProps): ReactElement {
  return (
    <Tooltip label={label} shortcut={shortcut} side={tooltipSide}>
      <button
        type="button"
        aria-label={label}
        {...rest}
        className={cx(base, size === 'sm' ? 'size-7' : 'size-8', variants[variant], className)}
      >
        {icon}
      </button>
    </Tooltip>
  );
}
