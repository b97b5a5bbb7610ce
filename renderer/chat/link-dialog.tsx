import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { create } from 'zustand';
import { useStudio } from '../client/context.tsx';
import { Button, Dialog, showError } from '../ui/index.ts';

const useAsked = create<{ url: string | null }>(() => ({ url: null }));

/** Asks whether to leave Lutra for `url`. `LinkDialog` must be mounted. */
export function askToOpen(url: string): void {
  useAsked.setState({ url });
}

export function LinkDialog(): ReactElement {
  const { t } = useTranslation('chat');
  const { client, host } = useStudio();
  const url = useAsked((asked) => asked.url);
  const close = (): void => useAsked.setState({ url: null });
  const open = (): void => {
    if (url === null) return;
    if (host === 'electron') void client.app.openExternal({ url }).catch(showError);
    else window.open(url, '_blank', 'noopener,noreferrer');
    close();
  };
  return (
    <Dialog
      open={url !== null}
      onOpenChange={(next) => {
        if (!next) close();
      }}
      title={t('link.title')}
      description={t('link.body')}
      footer={
        <>
          <Button
            onClick={() => {
              void navigator.clipboard.writeText(url ?? '').catch(showError);
              close();
            }}
          >
            {t('link.copy')}
          </Button>
          <Button variant="primary" onClick={open}>
            {t('link.open')}
          </Button>
        </>
      }
    >
      <p className="rounded-md bg-sunken px-3 py-2 font-mono text-xs wrap-anywhere">{url}</p>
    </Dialog>
  );
}
