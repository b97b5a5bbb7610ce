import { AudioLines } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { RecognisedModels } from '../models/recognised.tsx';
import { EmptyState, PanelHeader } from '../ui/index.ts';

export default function AudioPanel(): ReactElement {
  const { t } = useTranslation();
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
              <p>{t('audio.now')}</p>
              <RecognisedModels capability="audio" heading={t('audio.found')} none={t('audio.none')} />
            </div>
          }
        />
      </div>
    </div>
  );
}
