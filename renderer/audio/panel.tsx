import { AudioLines } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { AudioTake } from '../../contract/audio.ts';
import { useStudio } from '../client/context.tsx';
import { useModels } from '../client/stores.ts';
import { RecognisedModels } from '../models/recognised.tsx';
import { EmptyState, PanelHeader } from '../ui/index.ts';
import { Controls } from './controls.tsx';
import { ExportDialog } from './export-dialog.tsx';
import { Player } from './player.tsx';
import { RunCard } from './run-card.tsx';
import { followAudio, useAudio } from './store.ts';
import type { Region } from './store.ts';
import { Takes } from './takes.tsx';

export default function AudioPanel(): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const all = useModels(({ items }) => items);
  const models = all.filter(({ capabilities, status }) => capabilities.includes('audio') && status === 'ready');
  const takes = useAudio((state) => state.takes);
  useEffect(() => {
    const abort = new AbortController();
    void followAudio(client, abort.signal);
    return () => abort.abort();
  }, [client]);

  if (models.length === 0 && takes.length === 0) {
    return (
      <div className="flex min-w-0 flex-1 flex-col">
        <PanelHeader title={t('panels.audio')} />
        <div className="flex min-h-0 flex-1 overflow-y-auto">
          <EmptyState
            icon={<AudioLines />}
            title={t('audio.emptyTitle')}
            body={
              <div className="flex flex-col gap-2">
                <p>{t('audio.emptyBody')}</p>
                <RecognisedModels capability="audio" heading={t('audio.found')} none={t('audio.none')} />
              </div>
            }
          />
        </div>
      </div>
    );
  }
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('panels.audio')} />
      <div className="flex min-h-0 flex-1 max-md:flex-col max-md:overflow-y-auto">
        <div className="w-80 shrink-0 overflow-y-auto border-line max-md:w-full max-md:overflow-visible max-md:border-b md:border-r">
          <Controls models={models} />
        </div>
        <Results />
      </div>
    </div>
  );
}

/** What is being made, the takes, and the one that is heard. */
function Results(): ReactElement {
  const { t } = useTranslation();
  const { takes, run, selectedId, otherId } = useAudio();
  const [exporting, setExporting] = useState<{ take: AudioTake; region: Region | null } | null>(null);
  const selected = takes.find(({ id }) => id === selectedId) ?? null;
  const other = takes.find(({ id }) => id === otherId && id !== selectedId) ?? null;
  return (
    <div className="flex min-w-0 flex-1 flex-col max-md:min-h-[36rem]">
      {run === null ? null : <RunCard run={run} />}
      {takes.length === 0 ? (
        <EmptyState icon={<AudioLines />} title={t('audio.noTakes')} body={<p>{t('audio.noTakesHint')}</p>} />
      ) : (
        <Takes onExport={(take) => setExporting({ take, region: null })} />
      )}
      {selected === null ? null : (
        <Player take={selected} other={other} onExport={(region) => setExporting({ take: selected, region })} />
      )}
      {exporting === null ? null : <ExportDialog {...exporting} onClose={() => setExporting(null)} />}
    </div>
  );
}
