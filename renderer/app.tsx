import { CSPProvider } from '@base-ui/react/csp-provider';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { FeedsContext } from './client/actions.ts';
import { StudioProvider } from './client/context.tsx';
import type { Studio } from './client/studio.ts';
import { startFeeds } from './client/stores.ts';
import type { Notice } from './client/stores.ts';
import { errorText } from './i18n/errors.ts';
import { useAppearance } from './shell/appearance.ts';
import { Boundary } from './shell/boundary.tsx';
import { Shell } from './shell/shell.tsx';
import { showToast, Toaster, TooltipProvider } from './ui/index.ts';

/** The nonce of the page's policy, for the style elements that libraries make. */
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;

function tell({ level, error }: Notice): void {
  const text = errorText(error);
  const description = [text.detail, text.hint].filter((line) => line !== null).join(' ');
  showToast({ title: text.message, description: description === '' ? undefined : description, tone: level });
}

export function App({ studio }: { studio: Studio }): ReactElement {
  const [feeds] = useState(() => startFeeds(studio, tell));
  useAppearance();
  return (
    <CSPProvider {...(nonce === undefined ? {} : { nonce })}>
      <StudioProvider studio={studio}>
        <FeedsContext value={feeds}>
          <TooltipProvider delay={500}>
            <Boundary>
              <Shell />
            </Boundary>
            <Toaster />
          </TooltipProvider>
        </FeedsContext>
      </StudioProvider>
    </CSPProvider>
  );
}
