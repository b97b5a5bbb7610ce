/** What becomes of files that were dropped or chosen: models are added, chat exports imported. */
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';
import type { Model } from '../../contract/models.ts';
import { formatPercent } from '../i18n/format.ts';
import { dismissToast, showError, showToast } from '../ui/toast.tsx';
import { useStudio } from './context.tsx';
import { electronBridge } from './dial.ts';
import { grantFile } from './grants.ts';
import { useNavigation } from './navigation.ts';
import { isSound, takeSound } from '../audio/intake.ts';

/** A chat export larger than this is no chat export. */
const largestImportBytes = 200_000_000;
const toastIntervalMs = 200;

export interface Intake {
  /** Takes files of any kind; says what became of each. */
  readonly takeFiles: (files: readonly File[]) => Promise<void>;
  /** Adds what was granted, and leads to the chat when it is a model to chat with. */
  readonly addGrant: (grantId: string) => Promise<void>;
}

export function useIntake(): Intake {
  const { t } = useTranslation();
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);

  const tellAdded = useCallback(
    (models: readonly Model[], jobId: string | null) => {
      if (jobId !== null) {
        showToast({
          title: t('models.scanStarted'),
          action: { label: t('models.showJobs'), onSelect: () => go({ panel: 'jobs' }) },
        });
        return;
      }
      const [first] = models;
      if (first === undefined) {
        showToast({ title: t('models.addedNone'), description: t('models.addedNoneHint'), tone: 'warning' });
        return;
      }
      const chatModel = models.find(({ status, capabilities }) => status === 'ready' && capabilities.includes('chat'));
      if (models.length === 1 && first.problem !== null) {
        go({ panel: 'models' });
        showError(first.problem);
        return;
      }
      showToast({ title: t('models.added', { count: models.length }) });
      if (chatModel === undefined) go({ panel: 'models' });
      else {
        void client.settings.update({ patch: { chatModelId: chatModel.id } }).catch(showError);
        go({ panel: 'chat', conversationId: null });
      }
    },
    [client, go, t],
  );

  const addGrant = useCallback(
    async (grantId: string) => {
      const { models, jobId } = await client.models.add({ grantId });
      tellAdded(models, jobId);
    },
    [client, tellAdded],
  );

  const addModelFile = useCallback(
    async (file: File) => {
      const abort = new AbortController();
      const id = `sending ${file.name}`;
      let toldAt = 0;
      const tell = (sentBytes: number): void => {
        if (Date.now() - toldAt < toastIntervalMs) return;
        toldAt = Date.now();
        showToast({
          id,
          title: t('models.sending', { name: file.name }),
          description: formatPercent(file.size === 0 ? 1 : sentBytes / file.size),
          action: { label: t('common.cancel'), onSelect: () => abort.abort() },
          timeoutMs: 0,
        });
      };
      try {
        const grant = await grantFile(file, { onProgress: tell, signal: abort.signal });
        dismissToast(id);
        await addGrant(grant.id);
      } finally {
        dismissToast(id);
      }
    },
    [addGrant, t],
  );

  const importChats = useCallback(
    async (file: File) => {
      if (file.size > largestImportBytes) throw new Error(t('drop.unknown', { name: file.name }));
      const { imported, skipped } = await client.chat.importChats({ bytes: new Uint8Array(await file.arrayBuffer()) });
      const description = skipped === 0 ? undefined : t('drop.importedSkipped', { count: skipped });
      if (imported === 0) showToast({ title: t('drop.importedNothing') });
      else showToast({ title: t('drop.imported', { count: imported }), description });
      go({ panel: 'chat' });
    },
    [client, go, t],
  );

  const takeFiles = useCallback(
    async (files: readonly File[]) => {
      for (const file of files) {
        const name = file.name.toLowerCase();
        try {
          if (name.endsWith('.json')) await importChats(file);
          else if (isSound(file)) {
            await takeSound(client, file);

            go({ panel: 'audio' });
          } else if (electronBridge() !== null || /\.(gguf|bin|pt|pth|ckpt)$/.test(name)) await addModelFile(file);
          else {
            const hint = name.endsWith('.safetensors') ? t('drop.safetensorsHint') : t('drop.unknownHint');
            showToast({ title: t('drop.unknown', { name: file.name }), description: hint, tone: 'warning' });
          }
        } catch (thrown) {
          showError(thrown);
        }
      }
    },
    [addModelFile, client, go, importChats, t],
  );
  return { takeFiles, addGrant };
}
