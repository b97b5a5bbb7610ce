import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { formatCount, formatNumber } from '../i18n/format.ts';
import { cx, Tooltip } from '../ui/index.ts';

export interface Measure {
  readonly tokens: number;
  readonly contextSize: number | null;
  readonly isExact: boolean;
}

const nearFull = 0.85;

/** How much of the context the conversation takes. */
export function ContextMeter({ measure }: { measure: Measure | null }): ReactElement | null {
  const { t } = useTranslation('chat');
  if (measure === null || measure.contextSize === null) return null;
  const { tokens, contextSize, isExact } = measure;
  const share = Math.min(1, tokens / contextSize);
  const isNearFull = share > nearFull;
  const label = [
    t('header.meterLabel', { used: formatNumber(tokens, 0), size: formatNumber(contextSize, 0) }),
    isExact ? null : t('header.meterEstimate'),
    isNearFull ? t('header.meterNearFull') : null,
  ].filter((line) => line !== null);
  return (
    <Tooltip label={label.join(' ')}>
      <div
        role="meter"
        tabIndex={0}
        aria-label={t('header.meter')}
        aria-valuemin={0}
        aria-valuemax={contextSize}
        aria-valuenow={Math.min(tokens, contextSize)}
        aria-valuetext={label.join(' ')}
        className="tnum flex h-8 items-center gap-2 rounded-md px-1.5 text-2xs text-muted hover:bg-hover"
      >
        <span aria-hidden className="h-1 w-14 overflow-hidden rounded-full bg-pressed">
          <span
            className={cx('block h-full rounded-full', isNearFull ? 'bg-warn' : 'bg-accent')}
            style={{ width: `${Math.max(2, share * 100)}%` }}
          />
        </span>
        <span aria-hidden className="max-lg:hidden">
          {formatCount(tokens)} / {formatCount(contextSize)}
        </span>
      </div>
    </Tooltip>
  );
}
