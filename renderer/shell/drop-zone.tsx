import { FileDown } from 'lucide-react';
import { useEffect, useEffectEvent, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { electronBridge } from '../client/dial.ts';
import { useIntake } from '../client/intake.ts';
import { showToast } from '../ui/index.ts';

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

/** The whole window takes files; while some are over it, it says what it takes. */
export function DropZone(): ReactElement | null {
  const { t } = useTranslation();
  const { takeFiles } = useIntake();
  const [isOver, setOver] = useState(false);
  const onDrop = useEffectEvent((event: DragEvent) => {
    const items = [...(event.dataTransfer?.items ?? [])];
    const hasFolder = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory === true);
    if (hasFolder && electronBridge() === null) {
      showToast({ title: t('drop.folderBrowser'), tone: 'warning', timeoutMs: 12_000 });
      return;
    }
    void takeFiles([...(event.dataTransfer?.files ?? [])]);
  });

  useEffect(() => {
    // `dragleave` fires for every element on the way: the window is left when as many were left as entered.
    let depth = 0;
    const enter = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const over = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer !== null) event.dataTransfer.dropEffect = 'copy';
    };
    const drop = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      onDrop(event);
    };
    window.addEventListener('dragenter', enter);
    window.addEventListener('dragleave', leave);
    window.addEventListener('dragover', over);
    window.addEventListener('drop', drop);
    return () => {
      window.removeEventListener('dragenter', enter);
      window.removeEventListener('dragleave', leave);
      window.removeEventListener('dragover', over);
      window.removeEventListener('drop', drop);
    };
  }, []);

  if (!isOver) return null;
  return (
    <div className="pointer-events-none fixed inset-0 z-50 flex items-center justify-center bg-scrim p-6">
      <div className="flex max-w-md flex-col items-center gap-2 rounded-xl border-2 border-dashed border-accent bg-surface px-10 py-8 text-center shadow-float">
        <FileDown aria-hidden className="size-8 stroke-[1.25] text-accent-ink" />
        <p className="text-base font-semibold">{t('drop.title')}</p>
        <p className="text-sm text-muted">{t('drop.model')}</p>
        <p className="text-sm text-muted">{t('drop.chats')}</p>
      </div>
    </div>
  );
}
