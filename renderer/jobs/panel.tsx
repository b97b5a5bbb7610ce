import { ListChecks, Pause, Play, Square, X } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Job, JobStatus } from '../../contract/jobs.ts';
import { useFeeds } from '../client/actions.ts';
import { useStudio } from '../client/context.tsx';
import { useJobs } from '../client/stores.ts';
import { formatBytes, formatDate, formatNumber, formatTimeLeft } from '../i18n/format.ts';
import {
  Badge,
  Button,
  EmptyState,
  ErrorNotice,
  IconButton,
  PanelHeader,
  Progress,
  showError,
  Spinner,
} from '../ui/index.ts';
import type { Tone } from '../ui/index.ts';

const tones: Record<JobStatus, Tone> = {
  queued: 'neutral',
  running: 'accent',
  paused: 'neutral',
  interrupted: 'warn',
  done: 'ok',
  failed: 'danger',
  cancelled: 'neutral',
};
const isActive = ({ status }: Job): boolean => status === 'running' || status === 'queued';
const canResume = ({ status }: Job): boolean => ['paused', 'interrupted', 'failed', 'cancelled'].includes(status);

export default function JobsPanel(): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const feeds = useFeeds();
  const { status, items, error } = useJobs();
  const interrupted = items.filter((job) => job.status === 'interrupted');
  const ended = items.filter((job) => !isActive(job) && job.status !== 'interrupted' && job.status !== 'paused');
  const forAll = async (jobs: readonly Job[], act: (jobId: string) => Promise<unknown>): Promise<void> => {
    for (const { id } of jobs) await act(id);
  };
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('jobs.title')}>
        {ended.length === 0 ? null : (
          <Button
            size="sm"
            onClick={() => void forAll(ended, (jobId) => client.jobs.dismiss({ jobId })).catch(showError)}
          >
            {t('jobs.dismissEnded')}
          </Button>
        )}
      </PanelHeader>
      {interrupted.length === 0 ? null : (
        <div className="flex flex-wrap items-center gap-3 border-b border-line bg-warn-soft px-4 py-2">
          <p className="min-w-0 flex-1">{t('jobs.interrupted', { count: interrupted.length })}</p>
          <Button
            size="sm"
            onClick={() => void forAll(interrupted, (jobId) => client.jobs.resume({ jobId })).catch(showError)}
          >
            {t('jobs.resumeAll')}
          </Button>
        </div>
      )}
      {status === 'loading' ? (
        <div role="status" className="m-auto flex items-center gap-2 text-muted">
          <Spinner /> {t('jobs.loading')}
        </div>
      ) : status === 'failed' && error !== null ? (
        <div className="m-auto max-w-lg p-6">
          <ErrorNotice
            error={error}
            actions={<Button onClick={() => void feeds.reloadJobs()}>{t('common.retry')}</Button>}
          />
        </div>
      ) : items.length === 0 ? (
        <EmptyState icon={<ListChecks />} title={t('jobs.emptyTitle')} body={t('jobs.emptyBody')} />
      ) : (
        <ul className="min-h-0 flex-1 overflow-y-auto">
          {items.map((job) => (
            <JobItem key={job.id} job={job} />
          ))}
        </ul>
      )}
    </div>
  );
}

function amounts({ done, total, unit }: Job): string {
  const show = unit === 'bytes' ? formatBytes : (value: number) => formatNumber(value, 0);
  return total === null ? show(done) : `${show(done)} / ${show(total)}`;
}

function JobItem({ job }: { job: Job }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { id: jobId, title, status, error, note, total, done } = job;
  const ask = (work: () => Promise<unknown>) => () => void work().catch(showError);
  const named = (action: string): string => t('jobs.action', { action, title });
  return (
    <li className="flex items-start gap-3 border-b border-line px-4 py-3">
      <div className="flex min-w-0 flex-1 flex-col gap-1">
        <div className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1">
          <h2 className="min-w-0 truncate text-sm font-medium">{title}</h2>
          <Badge tone={tones[status]}>{t(`jobs.status.${status}`)}</Badge>
          <span className="tnum ml-auto text-xs text-muted">
            {isActive(job) || total !== null ? amounts(job) : null}
            {job.etaSeconds === null ? null : ` · ${formatTimeLeft(job.etaSeconds)}`}
          </span>
        </div>
        {isActive(job) ? (
          <Progress
            label={t('jobs.progress', { title })}
            fraction={total === null || total === 0 ? null : done / total}
          />
        ) : null}
        <p className="text-xs wrap-anywhere whitespace-pre-line text-muted">
          {note === '' ? formatDate(job.updatedAt) : note}
        </p>
        {error === null ? null : <ErrorNotice error={error} />}
      </div>
      <div className="flex shrink-0 gap-1">
        {status === 'running' ? (
          <IconButton
            size="sm"
            label={named(t('jobs.pause'))}
            icon={<Pause />}
            onClick={ask(() => client.jobs.pause({ jobId }))}
          />
        ) : null}
        {canResume(job) ? (
          <IconButton
            size="sm"
            label={named(t('jobs.resume'))}
            icon={<Play />}
            onClick={ask(() => client.jobs.resume({ jobId }))}
          />
        ) : null}
        {isActive(job) || status === 'paused' ? (
          <IconButton
            size="sm"
            label={named(t('jobs.cancel'))}
            icon={<Square />}
            onClick={ask(() => client.jobs.cancel({ jobId }))}
          />
        ) : (
          <IconButton
            size="sm"
            label={named(t('jobs.dismiss'))}
            icon={<X />}
            onClick={ask(() => client.jobs.dismiss({ jobId }))}
          />
        )}
      </div>
    </li>
  );
}
