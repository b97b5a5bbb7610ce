import { CircuitBoard, Cpu, ListChecks, MemoryStick } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { EngineStatus } from '../../contract/engine.ts';
import { useConnection, useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { useEngine, useJobs } from '../client/stores.ts';
import { formatBytes, formatDate, formatSpeed } from '../i18n/format.ts';
import { Button, cx, ErrorNotice, Popover, showError } from '../ui/index.ts';

const dotColours: Record<EngineStatus['state'] | 'offline', string> = {
  starting: 'bg-warn',
  ready: 'bg-ok',
  busy: 'bg-accent',
  restarting: 'bg-warn',
  failed: 'bg-danger',
  stopped: 'bg-faint',
  offline: 'bg-danger',
};

/** The device that models run on, as its maker names it; with the CPU where that has some of the layers. */
function deviceName(status: EngineStatus | null): string | null {
  if (status === null) return null;
  const { loadedModel } = status;
  if (loadedModel !== null && loadedModel.device !== 'CPU') {
    const layers = loadedModel.cardLayers;
    const isShared = layers !== undefined && layers.count < layers.all;
    return isShared ? `${loadedModel.device} ${layers.count}/${layers.all} + CPU` : loadedModel.device;
  }
  const devices = status.report?.devices ?? [];
  const main = devices.find(({ backend }) => backend !== 'cpu') ?? devices[0];
  return main?.description ?? null;
}

const itemClass =
  'flex h-full min-w-0 items-center gap-1.5 px-2 hover:bg-hover hover:text-ink data-popup-open:bg-hover [&_svg]:size-3.5 [&_svg]:shrink-0';

export function StatusBar(): ReactElement {
  const { t } = useTranslation();
  const status = useEngine((engine) => engine.status);
  const { phase } = useConnection();
  const go = useNavigation((place) => place.go);
  const running = useJobs(
    ({ items }) => items.filter((job) => job.status === 'running' || job.status === 'queued').length,
  );
  const state = phase === 'online' ? (status?.state ?? 'starting') : 'offline';
  const memory = status?.memory;
  return (
    <footer
      aria-label={t('shell.statusBar')}
      className="tnum flex h-7 shrink-0 items-stretch border-t border-line bg-sunken px-1 text-2xs text-muted"
    >
      <Popover
        title={t('status.engineTitle')}
        side="top"
        className="w-96"
        trigger={
          <button type="button" className={itemClass}>
            <span aria-hidden className={cx('size-2 shrink-0 rounded-full', dotColours[state])} />
            <span className="sr-only">{t('status.engine')}: </span>
            <span>{t(`status.state.${state}`)}</span>
            <Cpu aria-hidden className="ml-2 text-faint max-sm:hidden" />
            <span className="max-w-64 truncate max-sm:hidden">{deviceName(status) ?? t('status.noDevice')}</span>
          </button>
        }
      >
        {status === null ? (
          <p className="text-sm text-muted">{t('common.loading')}</p>
        ) : (
          <EngineDetails status={status} />
        )}
      </Popover>
      <span className="flex min-w-0 items-center px-2 max-md:hidden">
        <span className="truncate">{status?.loadedModel?.name ?? t('status.noModel')}</span>
      </span>
      {status?.loadedModel?.kernel == null ? null : (
        <span className="flex shrink-0 items-center px-2 max-lg:hidden" title={t('status.kernel')}>
          {status.loadedModel.kernel}
        </span>
      )}
      <span className="ml-auto flex shrink-0 items-center">
        {status?.tokensPerSecond == null ? null : (
          <span className="px-2" title={t('status.speed')}>
            {formatSpeed(status.tokensPerSecond)}
          </span>
        )}
        {memory?.card == null ? null : (
          <span
            className="flex items-center gap-1.5 px-2 max-md:hidden"
            title={t('status.cardMemory', { card: memory.card.name })}
          >
            <CircuitBoard aria-hidden className="size-3.5 text-faint" />
            {t('status.memoryShort', {
              used: formatBytes(memory.card.totalBytes - memory.card.freeBytes),
              total: formatBytes(memory.card.totalBytes),
            })}
          </span>
        )}
        {memory === undefined || memory.machineTotalBytes === 0 ? null : (
          <span className="flex items-center gap-1.5 px-2" title={t('status.machineMemory')}>
            <MemoryStick aria-hidden className="size-3.5 text-faint" />
            {t('status.memoryShort', {
              used: formatBytes(memory.machineTotalBytes - memory.machineFreeBytes),
              total: formatBytes(memory.machineTotalBytes),
            })}
          </span>
        )}
        {running === 0 ? null : (
          <button type="button" className={itemClass} onClick={() => go({ panel: 'jobs' })}>
            <ListChecks aria-hidden className="text-accent-ink" />
            {t('status.jobsRunning', { count: running })}
          </button>
        )}
      </span>
    </footer>
  );
}

function Row({ label, children }: { label: string; children: string }): ReactElement {
  return (
    <div className="grid grid-cols-[8rem_1fr] gap-3 py-1">
      <dt className="text-muted">{label}</dt>
      <dd className="tnum wrap-anywhere">{children}</dd>
    </div>
  );
}

function EngineDetails({ status }: { status: EngineStatus }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { memory, loadedModel, lastCrash } = status;
  const ask = (work: () => Promise<unknown>) => () => void work().catch(showError);
  return (
    <div className="flex flex-col gap-2 text-sm">
      <dl>
        <Row label={t('status.engine')}>{t(`status.state.${status.state}`)}</Row>
        <Row label={t('status.device')}>{deviceName(status) ?? t('status.noDevice')}</Row>
        <Row label={t('status.model')}>
          {loadedModel === null ? t('status.noModel') : `${loadedModel.name} · ${formatBytes(loadedModel.memoryBytes)}`}
        </Row>
        <Row label={t('status.engineMemory')}>{formatBytes(memory.engineBytes)}</Row>
        <Row label={t('status.machineMemory')}>
          {t('status.memoryFree', {
            free: formatBytes(memory.machineFreeBytes),
            total: formatBytes(memory.machineTotalBytes),
          })}
        </Row>
        {memory.card === null ? null : (
          <Row label={t('status.cardMemory', { card: memory.card.name })}>
            {t('status.memoryFree', {
              free: formatBytes(memory.card.freeBytes),
              total: formatBytes(memory.card.totalBytes),
            })}
          </Row>
        )}
        {loadedModel?.cardLayers === undefined ? null : (
          <Row label={t('status.cardLayers')}>{t('status.cardLayersOf', loadedModel.cardLayers)}</Row>
        )}
        {loadedModel?.note === undefined ? null : (
          <Row label={t(loadedModel.cardLayers === undefined ? 'status.onProcessor' : 'status.cardShort')}>
            {loadedModel.note}
          </Row>
        )}
        {status.tokensPerSecond === null ? null : (
          <Row label={t('status.speed')}>{formatSpeed(status.tokensPerSecond)}</Row>
        )}
        {status.queueLength === 0 ? null : <Row label={t('status.queue')}>{String(status.queueLength)}</Row>}
        {status.restarts === 0 ? null : <Row label={t('status.restarts')}>{String(status.restarts)}</Row>}
      </dl>
      {lastCrash === null ? null : (
        <div>
          <p className="pb-1 text-xs text-muted">
            {t('status.lastCrash')} · {formatDate(lastCrash.at)}
          </p>
          <ErrorNotice error={lastCrash.error} tone="warn" />
        </div>
      )}
      <div className="flex gap-2">
        <Button size="sm" disabled={loadedModel === null} onClick={ask(() => client.engine.unload({}))}>
          {t('status.unload')}
        </Button>
        <Button size="sm" onClick={ask(() => client.engine.restart({}))}>
          {t('status.restart')}
        </Button>
      </div>
    </div>
  );
}
