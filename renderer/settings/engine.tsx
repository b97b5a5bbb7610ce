import { Check, X } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { EngineReport, EngineStatus } from '../../contract/engine.ts';
import { useUpdateSettings } from '../client/actions.ts';
import { useStudio } from '../client/context.tsx';
import { useEngine, useSettings } from '../client/stores.ts';
import { formatBytes } from '../i18n/format.ts';
import { Button, ErrorNotice, Field, NumberInput, Select, showError, showToast } from '../ui/index.ts';
import { Group } from './group.tsx';

const devices = ['auto', 'cpu', 'vulkan', 'cuda', 'metal'] as const;

export function EngineSettings(): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { device, threads, chatCache, unloadAfterMinutes } = useSettings();
  const status = useEngine((engine) => engine.status);
  const update = useUpdateSettings();
  const [isRestarting, setRestarting] = useState(false);
  const report = status?.report ?? null;
  const found = new Set(report?.devices.map(({ backend }) => backend));
  const restart = async (): Promise<void> => {
    setRestarting(true);
    try {
      await client.engine.restart({});
      showToast({ title: t('settings.restarted') });
    } catch (thrown) {
      showError(thrown);
    } finally {
      setRestarting(false);
    }
  };
  return (
    <>
      {status?.state === 'failed' && status.lastCrash !== null ? (
        <ErrorNotice error={status.lastCrash.error} className="mb-4" />
      ) : null}
      <Group>
        <Field layout="row" label={t('settings.device')} hint={t('settings.deviceHint')}>
          <Select
            value={device}
            onValueChange={(next) => update({ device: next })}
            options={devices.map((value) => ({
              value,
              label: t(`settings.devices.${value}`),
              ...(value === 'auto' || report === null || found.has(value) ? {} : { hint: t('settings.deviceMissing') }),
            }))}
          />
        </Field>
        <Field layout="row" label={t('settings.threads')} hint={t('settings.threadsHint')}>
          <NumberInput
            value={threads}
            min={1}
            max={512}
            step={1}
            placeholder={t('common.auto')}
            aria-label={t('settings.threads')}
            onCommit={(next) => update({ threads: next === null ? null : Math.round(next) })}
          />
        </Field>
        <Field layout="row" label={t('settings.chatCache')} hint={t('settings.chatCacheHint')}>
          <Select
            value={chatCache}
            onValueChange={(next) => update({ chatCache: next })}
            options={(['f16', 'q8'] as const).map((value) => ({ value, label: t(`settings.chatCaches.${value}`) }))}
          />
        </Field>
        <Field
          layout="row"
          label={`${t('settings.unload')} (${t('settings.unloadUnit')})`}
          hint={t('settings.unloadHint')}
        >
          <NumberInput
            value={unloadAfterMinutes}
            min={1}
            max={10_080}
            step={1}
            placeholder={t('settings.unloadPlaceholder')}
            aria-label={t('settings.unload')}
            onCommit={(next) => update({ unloadAfterMinutes: next === null ? null : Math.round(next) })}
          />
        </Field>
      </Group>
      {report === null ? (
        <p className="pb-4 text-muted">{t('settings.noReport')}</p>
      ) : (
        <Report report={report} loadedModel={status?.loadedModel ?? null} />
      )}
      <Button isBusy={isRestarting} onClick={() => void restart()}>
        {t('settings.restart')}
      </Button>
    </>
  );
}

function Report({
  report,
  loadedModel,
}: {
  report: EngineReport;
  loadedModel: EngineStatus['loadedModel'];
}): ReactElement {
  const { t } = useTranslation();
  const { selfTest, versions, cpuModule } = report;
  const failed = selfTest.checks.filter(({ ok }) => !ok).length;
  return (
    <>
      <Group heading={t('settings.devicesFound')}>
        {report.devices.map((device) => (
          <div key={`${device.backend} ${device.name}`} className="py-2">
            <p className="flex gap-4">
              <span className="min-w-0 flex-1 font-medium">
                {device.description} <span className="font-normal text-muted">· {device.backend}</span>
              </span>
              <span className="tnum shrink-0 text-muted">
                {t('settings.deviceMemory', {
                  free: formatBytes(device.memoryFreeBytes),
                  total: formatBytes(device.memoryTotalBytes),
                })}
              </span>
            </p>
            {loadedModel?.cardLayers === undefined || device.description !== loadedModel.device ? null : (
              <p className="pt-0.5 text-xs text-muted">
                {loadedModel.name} · {t('status.cardLayers')}: {t('status.cardLayersOf', loadedModel.cardLayers)}
              </p>
            )}
            {device.features.length === 0 ? null : (
              <p className="pt-0.5 text-xs text-muted">{device.features.join(' · ')}</p>
            )}
          </div>
        ))}
      </Group>
      {report.unavailable.length === 0 ? null : (
        <Group heading={t('settings.devicesMissing')}>
          {report.unavailable.map(({ backend, reason }) => (
            <p key={backend} className="flex gap-4 py-2">
              <span className="w-16 shrink-0 font-medium">{backend}</span>
              <span className="min-w-0 wrap-anywhere text-muted">{reason}</span>
            </p>
          ))}
        </Group>
      )}
      <Group heading={t('settings.selfTest')}>
        <details className="py-2">
          <summary className="font-medium">
            {failed === 0
              ? t('settings.selfTestOk', { count: selfTest.checks.length })
              : t('settings.selfTestFailed', { count: failed })}
          </summary>
          <ul className="pt-1">
            {selfTest.checks.map(({ name, ok, detail }) => (
              <li
                key={name}
                className="flex items-start gap-2 py-0.5 text-xs [&_svg]:mt-0.5 [&_svg]:size-3.5 [&_svg]:shrink-0"
              >
                {ok ? (
                  <Check aria-label={t('settings.passed')} className="text-ok" />
                ) : (
                  <X aria-label={t('settings.failed')} className="text-danger" />
                )}
                <span className="min-w-0 wrap-anywhere">
                  {name} <span className="text-muted">{detail}</span>
                </span>
              </li>
            ))}
          </ul>
        </details>
      </Group>
      <Group heading={t('settings.versions')}>
        <p className="py-2 text-muted">
          ggml {versions.ggml} · node-llama-cpp {versions.nodeLlamaCpp} · Node {versions.node} ·{' '}
          {t('settings.cpuModule')}: {cpuModule.isOwn ? t('settings.cpuModuleOwn') : t('settings.cpuModulePrebuilt')}{' '}
          {cpuModule.note}
        </p>
      </Group>
    </>
  );
}
