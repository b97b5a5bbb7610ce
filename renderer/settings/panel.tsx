import { useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { cx, PanelHeader } from '../ui/index.ts';
import { About } from './about.tsx';
import { Appearance } from './appearance.tsx';
import { ChatDefaults } from './chat-defaults.tsx';
import { Data } from './data.tsx';
import { EngineSettings } from './engine.tsx';

const sections = ['appearance', 'chat', 'engine', 'data', 'about'] as const;
type Section = (typeof sections)[number];

const contents: Record<Section, ReactNode> = {
  appearance: <Appearance />,
  chat: <ChatDefaults />,
  engine: <EngineSettings />,
  data: <Data />,
  about: <About />,
};

export default function SettingsPanel(): ReactElement {
  const { t } = useTranslation();
  const [section, setSection] = useState<Section>('appearance');
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('settings.title')} />
      <div className="flex min-h-0 flex-1 max-sm:flex-col">
        <nav
          aria-label={t('settings.sections')}
          className="flex w-44 shrink-0 flex-col gap-0.5 border-r border-line p-2 max-sm:w-full max-sm:flex-row max-sm:overflow-x-auto max-sm:border-r-0 max-sm:border-b"
        >
          {sections.map((name) => (
            <button
              key={name}
              type="button"
              aria-current={name === section ? 'true' : undefined}
              onClick={() => setSection(name)}
              className={cx(
                'h-8 shrink-0 rounded-md px-3 text-left text-sm font-medium',
                name === section ? 'bg-accent-soft text-accent-ink' : 'text-muted hover:bg-hover hover:text-ink',
              )}
            >
              {t(`settings.${name}`)}
            </button>
          ))}
        </nav>
        <div className="min-h-0 min-w-0 flex-1 overflow-y-auto px-6 py-4 max-sm:px-4">
          <section aria-label={t(`settings.${section}`)} className="mx-auto max-w-2xl">
            <h2 className="pb-2 text-base font-semibold">{t(`settings.${section}`)}</h2>
            {contents[section]}
          </section>
        </div>
      </div>
    </div>
  );
}
