import { TriangleAlert } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { ErrorData } from '../../contract/errors.ts';
import { errorText } from '../i18n/errors.ts';
import { cx } from './cx.ts';

export interface ErrorNoticeProps {
  error: ErrorData;
  /** Buttons that lead on. */
  actions?: ReactNode;
  tone?: 'danger' | 'warn';
  className?: string;
}

/** What happened, to what, and what to do next. Announced when it appears. */
export function ErrorNotice({ error, actions, tone = 'danger', className }: ErrorNoticeProps): ReactElement {
  useTranslation();
  const text = errorText(error);
  return (
    <div
      role="alert"
      className={cx(
        'flex gap-2 rounded-md px-3 py-2 text-sm',
        tone === 'danger' ? 'bg-danger-soft' : 'bg-warn-soft',
        className,
      )}
    >
      <TriangleAlert
        aria-hidden
        className={cx('mt-0.5 size-4 shrink-0', tone === 'danger' ? 'text-danger' : 'text-warn')}
      />
      <div className="min-w-0 flex-1">
        <p className="font-medium wrap-anywhere text-ink">{text.message}</p>
        {text.detail === null ? null : <p className="wrap-anywhere text-muted">{text.detail}</p>}
        {text.hint === null ? null : <p className="wrap-anywhere text-muted">{text.hint}</p>}
        {actions === undefined ? null : <div className="flex flex-wrap gap-2 pt-2">{actions}</div>}
      </div>
    </div>
  );
}
