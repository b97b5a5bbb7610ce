import { Field as Base } from '@base-ui/react/field';
import { NumberField } from '@base-ui/react/number-field';
import { useLayoutEffect, useRef } from 'react';
import type { ComponentProps, ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';

/** The frame that every text-like control shares. */
export const controlClass =
  'w-full rounded-md border border-line-strong bg-surface px-2.5 text-sm text-ink transition-colors hover:border-faint focus-visible:outline-2 focus-visible:-outline-offset-1 disabled:opacity-50 aria-invalid:border-danger';

export interface InputProps extends Omit<ComponentProps<'input'>, 'value' | 'onChange' | 'defaultValue' | 'size'> {
  value: string;
  onValueChange: (value: string) => void;
  /** Shown inside, before the text. */
  icon?: ReactNode;
}

/** Give it a label: a `Field` around it, or `aria-label`. */
export function Input({ value, onValueChange, icon, className, ...rest }: InputProps): ReactElement {
  const input = (
    <Base.Control
      value={value}
      onValueChange={onValueChange}
      render={<input {...rest} className={cx(controlClass, 'h-8', icon !== undefined && 'pl-8', className)} />}
    />
  );
  if (icon === undefined) return input;
  return (
    <span className="relative block w-full">
      <span
        aria-hidden
        className="pointer-events-none absolute inset-y-0 left-2.5 flex items-center text-faint [&_svg]:size-4"
      >
        {icon}
      </span>
      {input}
    </span>
  );
}

export interface TextAreaProps extends Omit<
  ComponentProps<'textarea'>,
  'value' | 'onChange' | 'defaultValue' | 'rows'
> {
  value: string;
  onValueChange: (value: string) => void;
  /** Grows with its text from `minRows` up to `maxRows`, then scrolls. */
  minRows?: number;
  maxRows?: number;
}

const lineHeightPx = 20;

export function TextArea({
  value,
  onValueChange,
  minRows = 3,
  maxRows = 12,
  className,
  ref,
  ...rest
}: TextAreaProps): ReactElement {
  const own = useRef<HTMLTextAreaElement | null>(null);
  useLayoutEffect(() => {
    const area = own.current;
    if (area === null) return;
    area.style.height = 'auto';
    const framePx = area.offsetHeight - area.clientHeight + 12;
    const wanted = Math.max(
      area.scrollHeight + area.offsetHeight - area.clientHeight,
      minRows * lineHeightPx + framePx,
    );
    area.style.height = `${Math.min(wanted, maxRows * lineHeightPx + framePx)}px`;
  }, [value, minRows, maxRows]);
  return (
    <Base.Control
      value={value}
      render={
        <textarea
          {...rest}
          ref={(element) => {
            own.current = element;
            if (typeof ref === 'function') return ref(element);
            if (ref !== undefined && ref !== null) ref.current = element;
            return undefined;
          }}
          rows={minRows}
          onChange={(event) => onValueChange(event.currentTarget.value)}
          className={cx(controlClass, 'resize-none py-1.5 leading-5', className)}
        />
      }
    />
  );
}

export interface NumberInputProps {
  value: number | null;
  /** Called when the person has finished typing (blur, Enter, arrows), within the bounds. */
  onCommit: (value: number | null) => void;
  min?: number;
  max?: number;
  step?: number;
  /** Shown when the value is null. */
  placeholder?: string;
  disabled?: boolean;
  'aria-label'?: string;
  className?: string;
}

export function NumberInput({
  value,
  onCommit,
  placeholder,
  className,
  'aria-label': label,
  ...bounds
}: NumberInputProps): ReactElement {
  return (
    <NumberField.Root
      value={value}
      onValueCommitted={(next) => onCommit(next)}
      format={{ useGrouping: false, maximumFractionDigits: 4 }}
      className="w-full"
      {...bounds}
    >
      <NumberField.Input
        placeholder={placeholder}
        aria-label={label}
        className={cx(controlClass, 'tnum h-8', className)}
      />
    </NumberField.Root>
  );
}
