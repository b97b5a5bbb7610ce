import { Image } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { RecognisedModels } from '../models/recognised.tsx';
import { EmptyState, PanelHeader } from '../ui/index.ts';

export default function CaptionPanel(): ReactElement {
  const { t } = useTranslation();
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('panels.caption')} />
      <div className="flex min-h-0 flex-1 overflow-y-auto">
        <EmptyState
          icon={<Image />}
          title={t('caption.emptyTitle')}
          body={
            <div className="flex flex-col gap-2">
              <p>{t('caption.emptyBody')}</p>
              <p>{t('caption.now')}</p>
              <RecognisedModels capability="caption" heading={t('caption.found')} none={t('caption.none')} />
            </div>
          }
        />
      </div>
    </div>
  );
}
