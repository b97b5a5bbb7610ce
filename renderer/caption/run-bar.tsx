import { ChevronDown, Eye, Pause, Play, RotateCcw, SlidersHorizontal, Sparkles, Square } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { captionPresets, presetPrompts } from '../../contract/caption-settings.ts';
import type { CaptionBatch } from '../../contract/caption.ts';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { useJobs } from '../client/stores.ts';
import { formatNumber, formatPercent, formatTimeLeft } from '../i18n/format.ts';
import {
  Button,
  ErrorNotice,
  Field,
  IconButton,
  Menu,
  MenuItem,
  Progress,
  Select,
  showError,
  showToast,
  TextArea,
} from '../ui/index.ts';
import { useCaptionModels, useModelId } from './models.ts';
import { Options } from './options.tsx';
import { Preview } from './preview.tsx';
import { followBatch, settingsToUse, updateDraft, updateSettings, useCaptions } from './store.ts';

/** The job's kind in main. */
const batchKind = 'caption.batch';
/** So many are made before the person is asked whether they look right. */
const previewItems = 4;
/** Fewer than this are quicker made than looked at in advance. */
const worthPreview = 12;

/** What will be asked of which model, and how far that is. */
export function RunBar(): ReactElement {
  const batch = useCaptions((state) => state.batch);
  const stopped = useJobs(({ items }) =>
    items.find(({ kind, status }) => kind === batchKind && ['paused', 'interrupted', 'failed'].includes(status)),
  );
  if (batch !== null) return batch.stage === 'preview' ? <Preview batch={batch} /> : <Running batch={batch} />;
  return (
    <>
      {stopped === undefined ? null : <Stopped job={stopped} />}
      <Prepare />
    </>
  );
}

function Prepare(): ReactElement {
  const { t } = useTranslation('caption');
  const models = useCaptionModels();
  const modelId = useModelId();
  const draft = useCaptions((state) => state.draft);
  const [hasOptions, setOptions] = useState(false);
  return (
    <section aria-label={t('run.title')} className="flex shrink-0 flex-col gap-3 border-b border-line px-4 py-2">
      <div className="flex flex-wrap items-center gap-2">
        <Select
          aria-label={t('run.what')}
          className="w-44 max-sm:w-auto max-sm:min-w-0 max-sm:flex-[1_1_40%]"
          value={draft.hasOwnPrompt ? 'own' : draft.settings.preset}
          onValueChange={(value) => {
            if (value !== 'own') {
              updateSettings({ preset: value });
              updateDraft({ hasOwnPrompt: false });
              return;
            }
            const { preset, prompt } = draft.settings;
            if (prompt === '') updateSettings({ prompt: presetPrompts[preset] });
            updateDraft({ hasOwnPrompt: true });
          }}
          options={[
            ...captionPresets.map((preset) => ({
              value: preset,
              label: t(`preset.${preset}`),
              hint: t(`presetHint.${preset}`),
            })),
            { value: 'own' as const, label: t('preset.own'), hint: t('presetHint.own') },
          ]}
        />
        <Select
          aria-label={t('run.model')}
          className="w-52 max-sm:w-auto max-sm:min-w-0 max-sm:flex-[1_1_40%]"
          value={modelId}
          onValueChange={(value) => updateDraft({ modelId: value })}
          placeholder={t('run.noModel')}
          disabled={models.length === 0}
          options={models.map(({ id, name, quantization }) => ({
            value: id,
            label: name,
            ...(quantization === null ? {} : { hint: quantization }),
          }))}
        />
        <Button
          variant="ghost"
          icon={<SlidersHorizontal />}
          aria-expanded={hasOptions}
          onClick={() => setOptions(!hasOptions)}
        >
          {t('run.options')}
        </Button>
        <span className="ml-auto flex max-sm:flex-1">
          <StartButtons modelId={modelId} />
        </span>
      </div>
      {models.length > 0 ? null : <NoModel />}
      {draft.hasOwnPrompt ? (
        <Field label={t('run.prompt')} hint={t('run.promptHint')}>
          <TextArea
            value={draft.settings.prompt}
            onValueChange={(prompt) => updateSettings({ prompt })}
            placeholder={presetPrompts[draft.settings.preset]}
            minRows={2}
            maxRows={8}
          />
        </Field>
      ) : null}
      {hasOptions ? <Options /> : null}
    </section>
  );
}

function NoModel(): ReactElement {
  const { t } = useTranslation('caption');
  const go = useNavigation((place) => place.go);
  return (
    <div className="flex flex-wrap items-center gap-2 rounded-md bg-accent-soft px-3 py-1.5 text-sm">
      <p className="min-w-0 flex-1">{t('empty.noModel')}</p>
      <Button size="sm" onClick={() => go({ panel: 'models' })}>
        {t('run.toModels')}
      </Button>
    </div>
  );
}

function StartButtons({ modelId }: { modelId: string | null }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const counts = useCaptions((state) => state.counts);
  const selected = useCaptions((state) => state.selected);
  const [isStarting, setStarting] = useState(false);
  const missing = counts.waiting + counts.failed;
  const number = (value: number): string => formatNumber(value, 0);

  const start = async (itemIds: string[] | null, which: 'missing' | 'all', count: number): Promise<void> => {
    if (modelId === null) return;
    setStarting(true);
    const { draft } = useCaptions.getState();
    try {
      const { items } = await client.caption.start({
        modelId,
        settings: settingsToUse(draft),
        itemIds,
        which,
        previewFirst: draft.looksFirst && count >= worthPreview ? previewItems : 0,
      });
      useCaptions.setState({ isFollowing: true });
      if (items === 0) showToast({ title: t('run.nothing'), description: t('run.nothingHint'), tone: 'warning' });
    } catch (thrown) {
      showError(thrown);
    } finally {
      setStarting(false);
    }
  };
  const startFailed = async (): Promise<void> => {
    try {
      const { ids } = await client.caption.ids({ filter: { state: 'failed' } });
      await start(ids, 'missing', ids.length);
    } catch (thrown) {
      showError(thrown);
    }
  };
  const isImpossible = modelId === null || counts.all === 0;
  return (
    <span className="flex flex-1 gap-px">
      <Button
        variant="primary"
        className="flex-1 rounded-r-none"
        icon={<Sparkles />}
        isBusy={isStarting}
        disabled={isImpossible || missing === 0}
        onClick={() => void start(null, 'missing', missing)}
      >
        {missing === 0 && counts.all > 0
          ? t('run.allDone')
          : t('run.start', { count: missing, number: number(missing) })}
      </Button>
      <Menu
        align="end"
        trigger={
          <IconButton
            variant="primary"
            className="rounded-l-none"
            label={t('run.more')}
            icon={<ChevronDown />}
            disabled={isImpossible}
          />
        }
      >
        <MenuItem
          icon={<Sparkles />}
          disabled={selected.size === 0}
          onSelect={() => void start([...selected], 'all', selected.size)}
        >
          {t('run.startSelected', { count: selected.size, number: number(selected.size) })}
        </MenuItem>
        <MenuItem icon={<RotateCcw />} disabled={counts.failed === 0} onSelect={() => void startFailed()}>
          {t('run.startFailed', { count: counts.failed, number: number(counts.failed) })}
        </MenuItem>
        <MenuItem icon={<RotateCcw />} onSelect={() => void start(null, 'all', counts.all)}>
          {t('run.startAll')}
        </MenuItem>
      </Menu>
    </span>
  );
}

function Running({ batch }: { batch: CaptionBatch }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const { jobId, stage, done, failed, total, etaSeconds, fraction, modelName, itemId } = batch;
  const name = useCaptions(({ items }) => (itemId === null ? undefined : items.get(itemId)?.name));
  const isFollowing = useCaptions((state) => state.isFollowing);
  const ended = done + failed;
  const counted = t('run.progress', { done: formatNumber(ended, 0), total: formatNumber(total, 0) });
  const tenth = total === 0 ? 0 : Math.floor((ended * 10) / total) / 10;
  return (
    <section
      aria-label={t('run.running')}
      className="flex shrink-0 flex-col gap-1.5 border-b border-line bg-sunken px-4 py-2"
    >
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <p className="tnum min-w-0 flex-1 text-sm font-medium">
          {stage === 'captioning' ? counted : t(`run.stage.${stage}`, { model: modelName })}
          <span className="font-normal text-muted">
            {failed === 0 ? '' : ` · ${t('run.failedCount', { count: failed, number: formatNumber(failed, 0) })}`}
            {etaSeconds === null || stage !== 'captioning' ? '' : ` · ${formatTimeLeft(etaSeconds)}`}
            {name === undefined || stage !== 'captioning' ? null : <span className="max-md:hidden"> · {name}</span>}
          </span>
        </p>
        <Button
          size="sm"
          variant={isFollowing ? 'secondary' : 'ghost'}
          icon={<Eye />}
          aria-pressed={isFollowing}
          onClick={() => {
            useCaptions.setState({ isFollowing: !isFollowing });
            followBatch();
          }}
        >
          {t('run.follow')}
        </Button>
        <Button size="sm" icon={<Pause />} onClick={() => void client.jobs.pause({ jobId }).catch(showError)}>
          {t('run.pause')}
        </Button>
        <Button size="sm" icon={<Square />} onClick={() => void client.jobs.cancel({ jobId }).catch(showError)}>
          {t('run.cancel')}
        </Button>
      </div>
      <Progress
        label={counted}
        fraction={stage === 'loading' ? fraction : stage === 'captioning' && total > 0 ? ended / total : null}
      />
      {/* Read aloud at every tenth, not at every picture. */}
      <p role="status" className="sr-only">
        {stage === 'captioning'
          ? t('run.spoken', { percent: formatPercent(tenth) })
          : t(`run.stage.${stage}`, { model: modelName })}
      </p>
    </section>
  );
}

type Job = ReturnType<typeof useJobs.getState>['items'][number];

/** A batch that was paused, cut off by a quit or a crash, or that could not go on. */
function Stopped({ job }: { job: Job }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const { id: jobId, status, done, total, error } = job;
  const ask = (work: () => Promise<unknown>) => () => void work().catch(showError);
  const buttons = (
    <>
      <Button size="sm" variant="primary" icon={<Play />} onClick={ask(() => client.jobs.resume({ jobId }))}>
        {t('run.resume')}
      </Button>
      <Button
        size="sm"
        onClick={ask(async () => {
          if (status !== 'failed') await client.jobs.cancel({ jobId });
          await client.jobs.dismiss({ jobId });
        })}
      >
        {t('run.drop')}
      </Button>
    </>
  );
  if (error !== null) return <ErrorNotice error={error} actions={buttons} className="mx-4 mt-2" />;
  return (
    <section
      aria-label={t('run.stopped')}
      className="flex shrink-0 flex-wrap items-center gap-2 border-b border-line bg-warn-soft px-4 py-2"
    >
      <p role="status" className="tnum min-w-0 flex-1 text-sm">
        {t(status === 'interrupted' ? 'run.interrupted' : 'run.paused', {
          done: formatNumber(done, 0),
          total: total === null ? '?' : formatNumber(total, 0),
        })}
      </p>
      {buttons}
    </section>
  );
}
