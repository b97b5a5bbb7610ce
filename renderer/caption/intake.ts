/** Pictures, clips and folders that were dropped or chosen: sent where they must be, granted, and added to the list. */
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { grantFile } from '../client/grants.ts';
import { useNavigation } from '../client/navigation.ts';
import { useStudio } from '../client/context.tsx';
import type { StudioClient } from '../client/studio.ts';
import { formatNumber } from '../i18n/format.ts';
import { errorText } from '../i18n/errors.ts';
import { dismissToast, showError, showToast } from '../ui/toast.tsx';
import type { Gathered } from './gather.ts';
import { only } from './selection.ts';
import { setFilter, useCaptions } from './store.ts';

/** Files sent at a time, and told to main at a time. */
const atOnce = 4;
const perCall = 200;
const toastId = 'captions adding';
const toastMs = 150;

/** What came last is what the person wants to see, whatever was looked at before. */
async function showNew(client: StudioClient, before: ReadonlySet<string>): Promise<void> {
  setFilter({ state: 'all', search: '' });
  const { ids } = await client.caption.ids({ filter: useCaptions.getState().filter });
  const first = ids.find((id) => !before.has(id));
  if (first === undefined || useCaptions.getState().isFollowing) return;
  useCaptions.setState({ ids, status: 'ready', ...only(first) });
}

interface GrantToAdd {
  readonly grantId: string;
  readonly folder: string;
}

export interface CaptionIntake {
  /** Files that the page found itself. */
  readonly takeGathered: (gathered: readonly Gathered[]) => Promise<void>;
  /** Files or folders that main knows already. */
  readonly takeGrants: (grants: readonly GrantToAdd[]) => Promise<void>;
}

export function useCaptionIntake(): CaptionIntake {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);

  const tell = useCallback(
    (sum: { added: number; present: number; ignored: number; problems: readonly ErrorData[] }): void => {
      const notes = [
        sum.present > 0 ? t('add.present', { count: sum.present }) : null,
        sum.ignored > 0 ? t('add.ignored', { count: sum.ignored }) : null,
      ].filter((note) => note !== null);
      const [problem] = sum.problems;
      if (problem !== undefined) {
        const text = errorText(problem);
        showToast({
          title: sum.problems.length === 1 ? text.message : t('add.problems', { count: sum.problems.length }),
          description: [sum.problems.length === 1 ? text.detail : text.message, text.hint, ...notes]
            .filter((line) => line !== null)
            .join(' '),
          tone: 'error',
          timeoutMs: 12_000,
        });
      }
      if (sum.added > 0 || problem === undefined) {
        showToast({
          title: t('add.added', { count: sum.added }),
          description: notes.length === 0 ? undefined : notes.join(' '),
          tone: sum.added > 0 ? 'info' : 'warning',
        });
      }
    },
    [t],
  );

  const takeGrants = useCallback(
    async (grants: readonly GrantToAdd[]) => {
      // Of the whole list: what is shown may be filtered, or not be there yet.
      const before = new Set((await client.caption.ids({ filter: {} })).ids);
      const sum = { added: 0, present: 0, ignored: 0, problems: [] as ErrorData[] };
      for (let from = 0; from < grants.length; from += perCall) {
        const answer = await client.caption.add({ grants: grants.slice(from, from + perCall) });
        sum.added += answer.added;
        sum.present += answer.present;
        sum.ignored += answer.ignored;
        sum.problems.push(...answer.problems);
      }
      tell(sum);
      if (sum.added > 0) await showNew(client, before);
    },
    [client, tell],
  );

  const takeGathered = useCallback(
    async (gathered: readonly Gathered[]) => {
      go({ panel: 'caption' });
      if (gathered.length === 0) {
        showToast({ title: t('add.nothing'), description: t('add.nothingHint'), tone: 'warning' });
        return;
      }
      const abort = new AbortController();
      // By place, so that the list keeps the order of the folders.
      const granted = new Map<number, GrantToAdd>();
      const problems: unknown[] = [];
      let [next, toldAt] = [0, 0];
      const show = (): void => {
        if (Date.now() - toldAt < toastMs) return;
        toldAt = Date.now();
        showToast({
          id: toastId,
          title: t('add.sending', {
            done: formatNumber(granted.size, 0),
            total: formatNumber(gathered.length, 0),
          }),
          action: { label: studio('common.cancel'), onSelect: () => abort.abort() },
          timeoutMs: 0,
        });
      };
      const send = async (): Promise<void> => {
        while (!abort.signal.aborted) {
          const at = next;
          next += 1;
          const one = gathered[at];
          if (one === undefined) return;
          try {
            const { id } = await grantFile(one.file, { signal: abort.signal });
            granted.set(at, { grantId: id, folder: one.folder });
          } catch (thrown) {
            if (toErrorData(thrown).code === 'cancelled') return;
            problems.push(thrown);
          }
          if (gathered.length > atOnce) show();
        }
      };
      await Promise.all(Array.from({ length: atOnce }, send));
      dismissToast(toastId);
      if (problems.length > 0) showError(problems[0]);
      // What was sent before the person stopped it is theirs to keep or delete.
      const grants = [...granted].sort(([a], [b]) => a - b).map(([, grant]) => grant);
      if (grants.length > 0) await takeGrants(grants).catch(showError);
    },
    [go, studio, t, takeGrants],
  );
  return { takeGathered, takeGrants };
}
