import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { Fit, Model } from '../../contract/models.ts';
import { useStudio } from '../client/context.tsx';
import { formatBytes, formatNumber } from '../i18n/format.ts';
import { cx, ErrorNotice, Popover, Spinner } from '../ui/index.ts';

const colours: Record<Fit['verdict'], string> = {
  fits: 'bg-ok',
  tight: 'bg-warn',
  'too-large': 'bg-danger',
  unknown: 'bg-faint',
};

/** The verdict; pressed, it shows the numbers behind it. */
export function FitButton({ model }: { model: Model }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const [fit, setFit] = useState<Fit | null>(null);
  const [error, setError] = useState<ErrorData | null>(null);
  const [isOpen, setOpen] = useState(false);

  // Asked when the row appears, and again whenever the numbers are looked at: free memory changes.
  useEffect(() => {
    const abort = new AbortController();
    client.models.fit({ modelId: model.id, contextLength: null }, { signal: abort.signal }).then(
      (answer) => {
        setFit(answer);
        setError(null);
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) setError(toErrorData(thrown));
      },
    );
    return () => abort.abort();
  }, [client, model.id, model.sizeBytes, isOpen]);

  const verdict = fit === null ? null : t(`models.fit.${fit.verdict}`);
  return (
    <Popover
      title={t('models.fit.title')}
      side="left"
      className="w-80"
      onOpenChange={setOpen}
      trigger={
        <button
          type="button"
          aria-label={t('models.fit.open', { verdict: verdict ?? t('models.fit.unknown'), name: model.name })}
          className="flex h-7 items-center gap-1.5 rounded-md px-1.5 text-xs text-ink hover:bg-pressed"
        >
          {fit === null && error === null ? (
            <Spinner className="size-3.5 text-faint" />
          ) : (
            <span aria-hidden className={cx('size-2 rounded-full', colours[fit?.verdict ?? 'unknown'])} />
          )}
          {verdict ?? (error === null ? '' : t('models.fit.unknown'))}
        </button>
      }
    >
      {error !== null ? <ErrorNotice error={error} /> : fit === null ? t('models.fit.checking') : <Numbers fit={fit} />}
    </Popover>
  );
}

function Numbers({ fit }: { fit: Fit }): ReactElement {
  const { t } = useTranslation();
  const rows = [
    [t('models.fit.weights'), fit.weightsBytes],
    ...(fit.contextLength === 0
      ? []
      : [[t('models.fit.cache', { tokens: formatNumber(fit.contextLength, 0) }), fit.cacheBytes] as const]),
    [t('models.fit.overhead'), fit.overheadBytes],
  ] as const;
  const share = fit.availableBytes === 0 ? 0 : Math.min(1, fit.neededBytes / fit.availableBytes);
  return (
    <div className="flex flex-col gap-2 text-sm">
      <dl className="tnum">
        {rows.map(([label, bytes]) => (
          <div key={label} className="flex justify-between gap-4 py-0.5">
            <dt className="text-muted">{label}</dt>
            <dd>{formatBytes(bytes)}</dd>
          </div>
        ))}
        <div className="mt-1 flex justify-between gap-4 border-t border-line pt-1 font-medium">
          <dt>{t('models.fit.needed')}</dt>
          <dd>{formatBytes(fit.neededBytes)}</dd>
        </div>
        <div className="flex justify-between gap-4 py-0.5">
          <dt className="min-w-0 text-muted">{t('models.fit.available', { device: fit.device })}</dt>
          <dd className="shrink-0">{formatBytes(fit.availableBytes)}</dd>
        </div>
      </dl>
      <div aria-hidden className="h-1.5 overflow-hidden rounded-full bg-pressed">
        <div
          className={cx('h-full rounded-full', colours[fit.verdict])}
          style={{ width: `${Math.max(1, share * 100)}%` }}
        />
      </div>
      <p className="text-xs text-muted">{t('models.fit.note')}</p>
    </div>
  );
}
