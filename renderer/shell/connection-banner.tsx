import { useEffect, useRef } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useConnection } from '../client/context.tsx';
import { showToast, Spinner } from '../ui/index.ts';

/** Says that main cannot be reached, for as long as that is so. */
export function ConnectionBanner(): ReactElement | null {
  const { t } = useTranslation();
  const { phase } = useConnection();
  const wasLost = useRef(false);
  useEffect(() => {
    if (phase === 'reconnecting') wasLost.current = true;
    if (phase !== 'online' || !wasLost.current) return;
    wasLost.current = false;
    showToast({ id: 'connection', title: t('shell.reconnected'), timeoutMs: 3000 });
  }, [phase, t]);
  if (phase !== 'reconnecting') return null;
  return (
    <div role="alert" className="flex items-center gap-2 bg-warn-soft px-4 py-1.5 text-sm text-ink">
      <Spinner className="text-warn" />
      <span className="font-medium">{t('shell.reconnecting')}</span>
      <span className="text-muted max-sm:hidden">{t('shell.reconnectingHint')}</span>
    </div>
  );
}
