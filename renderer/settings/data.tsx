import { Copy, RotateCcw } from 'lucide-react';
import { useCallback, useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { useConnection, useStudio } from '../client/context.tsx';
import type { StudioClient } from '../client/studio.ts';
import { useAppInfo } from '../client/stores.ts';
import { formatBytes, formatDate } from '../i18n/format.ts';
import { Button, ConfirmDialog, ErrorNotice, IconButton, showError, showToast } from '../ui/index.ts';
import { Group } from './group.tsx';

type Health = Awaited<ReturnType<StudioClient['app']['health']>>;

export function Data(): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { epoch } = useConnection();
  const info = useAppInfo((state) => state.info);
  const [health, setHealth] = useState<Health | null>(null);
  const [problem, setProblem] = useState<ErrorData | null>(null);
  const [restoring, setRestoring] = useState<Health['backups'][number] | null>(null);
  const [isResetting, setResetting] = useState(false);

  const read = useCallback(async () => {
    try {
      setHealth(await client.app.health({}));
      setProblem(null);
    } catch (thrown) {
      setProblem(toErrorData(thrown));
    }
  }, [client]);
  useEffect(() => void read(), [read, epoch]);

  const backUp = async (): Promise<void> => {
    const { name } = await client.app.backupNow({});
    showToast({ title: t('settings.backedUp', { name }) });
    await read();
  };
  /** The connection ends when it works: the answer may not come any more. */
  const restore = async (name: string): Promise<void> => {
    try {
      await client.app.restoreBackup({ name });
    } catch (thrown) {
      if (toErrorData(thrown).code !== 'disconnected') return showError(thrown);
    }
    showToast({ title: t('settings.restored') });
  };
  const copyPath = async (): Promise<void> => {
    await navigator.clipboard.writeText(info?.dataFolder ?? '');
    showToast({ title: t('settings.copied'), timeoutMs: 2500 });
  };

  return (
    <>
      <Group>
        <div className="flex items-center gap-3 py-2">
          <span className="w-32 shrink-0 font-medium">{t('settings.dataFolder')}</span>
          <code className="min-w-0 flex-1 font-mono text-xs wrap-anywhere text-muted">{info?.dataFolder}</code>
          <IconButton
            size="sm"
            label={t('settings.copyPath')}
            icon={<Copy />}
            onClick={() => void copyPath().catch(showError)}
          />
        </div>
        <div className="flex items-center gap-3 py-2">
          <span className="w-32 shrink-0 font-medium">{t('settings.health')}</span>
          <span className="min-w-0 flex-1 text-muted">{health?.ok === true ? t('settings.healthOk') : null}</span>
        </div>
      </Group>
      {problem === null ? null : <ErrorNotice error={problem} className="mb-4" />}
      {health?.problem == null ? null : <ErrorNotice error={health.problem} className="mb-4" />}
      <Group heading={t('settings.backups')}>
        {health === null || health.backups.length === 0 ? (
          <p className="py-2 text-muted">{t('settings.noBackups')}</p>
        ) : (
          health.backups.map((backup) => (
            <div key={backup.name} className="flex items-center gap-3 py-1.5">
              <span className="tnum min-w-0 flex-1 truncate" title={backup.name}>
                {formatDate(backup.createdAt)}
              </span>
              <span className="tnum text-muted">{formatBytes(backup.sizeBytes)}</span>
              <Button
                size="sm"
                icon={<RotateCcw />}
                aria-label={t('settings.restoreNamed', { date: formatDate(backup.createdAt) })}
                onClick={() => setRestoring(backup)}
              >
                {t('settings.restore')}
              </Button>
            </div>
          ))
        )}
      </Group>
      <div className="flex gap-2">
        <Button onClick={() => void backUp().catch(showError)}>{t('settings.backupNow')}</Button>
        <Button variant="danger" onClick={() => setResetting(true)}>
          {t('settings.resetAll')}
        </Button>
      </div>
      <ConfirmDialog
        open={restoring !== null}
        onOpenChange={(open) => {
          if (!open) setRestoring(null);
        }}
        title={t('settings.restoreTitle', { date: formatDate(restoring?.createdAt ?? 0) })}
        body={t('settings.restoreBody')}
        confirmLabel={t('settings.restore')}
        danger
        onConfirm={() => restore(restoring?.name ?? '')}
      />
      <ConfirmDialog
        open={isResetting}
        onOpenChange={setResetting}
        title={t('settings.resetTitle')}
        body={t('settings.resetBody')}
        confirmLabel={t('common.reset')}
        danger
        onConfirm={async () => {
          await client.settings.reset({}).catch(showError);
        }}
      />
    </>
  );
}
