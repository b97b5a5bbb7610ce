import { RadioGroup } from '@base-ui/react/radio-group';
import { Radio } from '@base-ui/react/radio';
import { ArrowRight } from 'lucide-react';
import { useEffect, useId, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { defaultQuantizeOptions } from '../../contract/models.ts';
import type { Model, QuantizeOptions } from '../../contract/models.ts';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import type { StudioClient } from '../client/studio.ts';
import { formatBytes, formatNumber } from '../i18n/format.ts';
import { Badge, Button, Dialog, ErrorNotice, Field, Select, showToast, Spinner } from '../ui/index.ts';
import type { Tone } from '../ui/index.ts';

type Prediction = Awaited<ReturnType<StudioClient['models']['predictQuantized']>>;

const widths = [4, 3, 2] as const;
const groupSizes = [32, 64, 128, 256] as const;
const tones: Record<Prediction['fit']['verdict'], Tone> = {
  fits: 'ok',
  tight: 'warn',
  'too-large': 'danger',
  unknown: 'neutral',
};

/** Choose how small; see what comes of it before anything starts. */
export function QuantizeDialog({
  model,
  open,
  onOpenChange,
}: {
  model: Model;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  const [options, setOptions] = useState<QuantizeOptions>(defaultQuantizeOptions);
  const [prediction, setPrediction] = useState<Prediction | null>(null);
  const [error, setError] = useState<ErrorData | null>(null);
  const [isStarting, setStarting] = useState(false);
  const { id: modelId, name } = model;

  useEffect(() => {
    if (!open) return;
    const abort = new AbortController();
    client.models.predictQuantized({ modelId, options }, { signal: abort.signal }).then(
      (found) => {
        if (abort.signal.aborted) return;
        setPrediction(found);
        setError(null);
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) setError(toErrorData(thrown));
      },
    );
    return () => abort.abort();
  }, [client, modelId, options, open]);

  const start = async (): Promise<void> => {
    setStarting(true);
    try {
      await client.models.quantize({ modelId, options });
      onOpenChange(false);
      showToast({
        title: t('models.quantize.started', { name }),
        action: { label: t('models.showJobs'), onSelect: () => go({ panel: 'jobs' }) },
      });
    } catch (thrown) {
      setError(toErrorData(thrown));
    } finally {
      setStarting(false);
    }
  };

  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t('models.quantize.title', { name })}
      description={t('models.quantize.description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('common.cancel')}</Button>
          <Button variant="primary" isBusy={isStarting} disabled={prediction === null} onClick={() => void start()}>
            {t('models.quantize.start')}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Widths value={options.bits} onChange={(bits) => setOptions({ ...options, bits })} />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t('models.quantize.groupSize')} hint={t('models.quantize.groupSizeHint')}>
            <Select
              value={String(options.groupSize)}
              onValueChange={(value) =>
                setOptions({ ...options, groupSize: groupSizes.find((size) => String(size) === value) ?? 64 })
              }
              options={groupSizes.map((size) => ({ value: String(size), label: String(size) }))}
            />
          </Field>
          <Field label={t('models.quantize.table')} hint={t(`models.quantize.tableHint.${options.table}`)}>
            <Select
              value={options.table}
              onValueChange={(table) => setOptions({ ...options, table })}
              options={(['learned', 'nf'] as const).map((table) => ({
                value: table,
                label: t(`models.quantize.tables.${table}`),
              }))}
            />
          </Field>
        </div>
        {error === null ? <Outcome prediction={prediction} /> : <ErrorNotice error={error} />}
      </div>
    </Dialog>
  );
}

/** Two, three or four bits, each with what it means. */
function Widths({
  value,
  onChange,
}: {
  value: QuantizeOptions['bits'];
  onChange: (bits: QuantizeOptions['bits']) => void;
}): ReactElement {
  const { t } = useTranslation();
  const label = useId();
  return (
    <div className="flex flex-col gap-1.5">
      <span id={label} className="text-sm font-medium">
        {t('models.quantize.bits')}
      </span>
      <RadioGroup
        aria-labelledby={label}
        value={value}
        onValueChange={(bits: QuantizeOptions['bits']) => onChange(bits)}
        className="grid gap-2 sm:grid-cols-3"
      >
        {widths.map((bits) => (
          <Radio.Root
            key={bits}
            value={bits}
            aria-label={t('models.quantize.bitsOption', { bits })}
            className="flex min-w-0 flex-col gap-0.5 rounded-md border border-line px-3 py-2 text-left select-none hover:bg-hover data-checked:border-accent data-checked:bg-accent/10"
          >
            <span className="text-sm font-medium text-ink">{t('models.quantize.bitsOption', { bits })}</span>
            <span className="text-xs text-pretty text-muted">{t(`models.quantize.bitsHint.${bits}`)}</span>
          </Radio.Root>
        ))}
      </RadioGroup>
    </div>
  );
}

function Outcome({ prediction }: { prediction: Prediction | null }): ReactElement {
  const { t } = useTranslation();
  if (prediction === null) {
    return (
      <div className="flex h-20 items-center justify-center rounded-md bg-sunken">
        <Spinner className="size-4 text-faint" />
      </div>
    );
  }
  const { sourceBytes, weightBytes, fit, destination } = prediction;
  const saved = sourceBytes === 0 ? 0 : 100 * (1 - weightBytes / sourceBytes);
  return (
    <div aria-live="polite" className="flex flex-col gap-1.5 rounded-md bg-sunken px-3 py-2.5 text-sm">
      <p className="tnum flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="text-muted">{formatBytes(sourceBytes)}</span>
        <ArrowRight aria-label={t('models.quantize.becomes')} className="size-3.5 text-faint" />
        <span className="font-medium">{formatBytes(weightBytes)}</span>
        <span className="text-muted">
          {t('models.quantize.saved', { percent: formatNumber(Math.max(0, saved), 0) })}
        </span>
        <span className="ml-auto">
          <Badge tone={tones[fit.verdict]}>{t(`models.fit.${fit.verdict}`)}</Badge>
        </span>
      </p>
      <p className="tnum text-xs text-muted">
        {t('models.quantize.memory', {
          needed: formatBytes(fit.neededBytes),
          available: formatBytes(fit.availableBytes),
        })}
      </p>
      <p className="text-xs break-all text-muted">{t('models.quantize.destination', { path: destination })}</p>
    </div>
  );
}
