import { FileDown } from 'lucide-react';
import { useEffect, useEffectEvent, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { droppedEntries, gather, holdsPictures, isCaptionable } from '../caption/gather.ts';
import { useCaptionIntake } from '../caption/intake.ts';
import { electronBridge } from '../client/dial.ts';
import { grantFile } from '../client/grants.ts';
import { useIntake } from '../client/intake.ts';
import { useNavigation } from '../client/navigation.ts';
import { showError, showToast } from '../ui/index.ts';

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

/** The whole window takes files; while some are over it, it says what it takes. */
export function DropZone(): ReactElement | null {
  const { t } = useTranslation();
  const { takeFiles } = useIntake();
  const { takeGathered, takeGrants } = useCaptionIntake();
  const go = useNavigation((place) => place.go);
  const [isOver, setOver] = useState(false);
  const onDrop = useEffectEvent(async (event: DragEvent): Promise<void> => {
    // All of it is read before the first wait: the event forgets what it carried.
    const entries = droppedEntries([...(event.dataTransfer?.items ?? [])]);
    const files = [...(event.dataTransfer?.files ?? [])];
    const isHere = useNavigation.getState().panel === 'caption';
    const folders = entries.filter(({ isDirectory }) => isDirectory);
    const folderNames = new Set(folders.map(({ name }) => name));
    const areForCaptions = isHere || (await Promise.all(folders.map(holdsPictures))).some(Boolean);
    const plain = files.filter(({ name }) => !folderNames.has(name));
    const pictures = plain.filter(isCaptionable).map((file) => ({ file, folder: '' }));
    const others = plain.filter((file) => !isCaptionable(file));
    if (folders.length > 0 && areForCaptions) {
      if (electronBridge() === null) pictures.push(...(await gather(folders)));
      else {
        go({ panel: 'caption' });
        const grants = await Promise.all(
          files.filter(({ name }) => folderNames.has(name)).map((file) => grantFile(file)),
        );
        await takeGrants(grants.map(({ id }) => ({ grantId: id, folder: '' })));
      }
    } else if (folders.length > 0) {
      if (electronBridge() === null) {
        showToast({ title: t('drop.folderBrowser'), tone: 'warning', timeoutMs: 12_000 });
        return;
      }
      others.push(...files.filter(({ name }) => folderNames.has(name)));
    }
    const hasNothing = pictures.length === 0 && others.length === 0;
    if (pictures.length > 0 || (hasNothing && areForCaptions && electronBridge() === null))
      await takeGathered(pictures);
    if (others.length > 0) await takeFiles(others);
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
      onDrop(event).catch(showError);
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
        <p className="text-sm text-muted">{t('drop.picture')}</p>
        <p className="text-sm text-muted">{t('drop.chats')}</p>
      </div>
    </div>
  );
}
