import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { PanelHeader } from '../ui/index.ts';
import { Welcome } from './welcome.tsx';

export default function WelcomePage(): ReactElement {
  const { t } = useTranslation();
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('panels.welcome')} />
      <div className="min-h-0 flex-1 overflow-y-auto">
        <Welcome />
      </div>
    </div>
  );
}
