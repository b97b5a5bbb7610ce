import { Field as Base } from '@base-ui/react/field';
import type { ReactElement, ReactNode } from 'react';
import { cx } from './cx.ts';

export interface FieldProps {
  label: string;
  /** A sentence under the control. */
  hint?: ReactNode;
  error?: string | undefined;
  /** `row` puts the control to the right of the label: for settings. */
  layout?: 'column' | 'row';
  /** One control of the kit; it is labelled and described by this field. */
  children: ReactNode;
  className?: string;
}

export function Field({ label, hint, error, layout = 'column', children, className }: FieldProps): ReactElement {
  const words = (
    <>
      <Base.Label className="text-sm font-medium text-ink">{label}</Base.Label>
      {hint === undefined ? null : (
        <Base.Description className="text-xs text-pretty text-muted">{hint}</Base.Description>
      )}
    </>
  );
  const problem =
    error === undefined ? null : (
      <Base.Error match className="text-xs text-danger">
        {error}
      </Base.Error>
    );
  if (layout === 'column') {
    return (
      <Base.Root invalid={error !== undefined} className={cx('flex flex-col gap-1', className)}>
        <Base.Label className="text-sm font-medium text-ink">{label}</Base.Label>
        {children}
        {hint === undefined ? null : (
          <Base.Description className="text-xs text-pretty text-muted">{hint}</Base.Description>
        )}
        {problem}
      </Base.Root>
    );
  }
  return (
    <Base.Root
      invalid={error !== undefined}
      className={cx('flex flex-col gap-x-6 gap-y-2 py-3 sm:flex-row sm:items-center', className)}
    >
      <div className="flex min-w-0 flex-1 flex-col gap-0.5">
        {words}
        {problem}
      </div>
      <div className="flex w-full shrink-0 sm:w-64 sm:justify-end">{children}</div>
    </Base.Root>
  );
}
