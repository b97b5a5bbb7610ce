/** The window: rail, the open panel, status bar, and what may lie over them. */
import { lazy, Suspense, useState } from 'react';
import type { ComponentType, ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { CaptionFeed } from '../caption/follow.ts';
import { useNavigation } from '../client/navigation.ts';
import type { View } from '../client/navigation.ts';
import { Spinner } from '../ui/index.ts';
import { Boundary } from './boundary.tsx';
import { ConnectionBanner } from './connection-banner.tsx';
import { DropZone } from './drop-zone.tsx';
import { Palette } from './palette.tsx';
import { Rail } from './rail.tsx';
import { ShortcutsDialog } from './shortcuts-dialog.tsx';
import { StatusBar } from './status-bar.tsx';
import { useShellShortcuts } from './use-shell-shortcuts.ts';

const panelViews: Record<View, ComponentType> = {
  chat: lazy(() => import('../chat/panel.tsx')),
  caption: lazy(() => import('../caption/panel.tsx')),
  audio: lazy(() => import('../audio/panel.tsx')),
  models: lazy(() => import('../models/panel.tsx')),
  jobs: lazy(() => import('../jobs/panel.tsx')),
  settings: lazy(() => import('../settings/panel.tsx')),
  welcome: lazy(() => import('../welcome/page.tsx')),
  weights: lazy(() => import('../welcome/weights-page.tsx')),
};

function Waiting(): ReactElement {
  const { t } = useTranslation();
  return (
    <div role="status" className="m-auto flex items-center gap-2 text-muted">
      <Spinner /> {t('common.loading')}
    </div>
  );
}

export function Shell(): ReactElement {
  const { t } = useTranslation();
  const panel = useNavigation((place) => place.panel);
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useShellShortcuts({ openPalette: () => setPaletteOpen(true), openHelp: () => setHelpOpen(true) });
  const Open = panelViews[panel];
  return (
    <div className="flex h-full flex-col">
      <a
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('content')?.focus();
        }}
        className="absolute top-1 left-1 z-50 -translate-y-16 rounded-md bg-accent px-3 py-1.5 text-on-accent focus:translate-y-0"
      >
        {t('shell.skip')}
      </a>
      <ConnectionBanner />
      <div className="flex min-h-0 flex-1 max-sm:flex-col-reverse">
        <Rail onPalette={() => setPaletteOpen(true)} />
        <main
          id="content"
          tabIndex={-1}
          aria-label={t(`panels.${panel}`)}
          className="flex min-h-0 min-w-0 flex-1 outline-none"
        >
          <Boundary key={panel}>
            <Suspense fallback={<Waiting />}>
              <Open />
            </Suspense>
          </Boundary>
        </main>
      </div>
      <StatusBar />
      <DropZone />
      <CaptionFeed />
      <Palette open={isPaletteOpen} onOpenChange={setPaletteOpen} onHelp={() => setHelpOpen(true)} />
      <ShortcutsDialog open={isHelpOpen} onOpenChange={setHelpOpen} />
    </div>
  );
}
