import { useEffect, useId, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { useStudio } from '../client/context.tsx';
import type { StudioClient } from '../client/studio.ts';
import { formatNumber } from '../i18n/format.ts';
import { Button, Dialog, ErrorNotice, Field, Input, showToast, Switch } from '../ui/index.ts';
import { changeOf } from './words.ts';
import { useCaptions } from './store.ts';
import type { ItemActions } from './use-actions.ts';

type Found = Awaited<ReturnType<StudioClient['caption']['replace']>>;

const countAfterMs = 250;
const longestFind = 1000;

/** Finds and replaces in all captions, or in the selected ones; says first what it would change. */
export function ReplaceDialog({ actions, onClose }: { actions: ItemActions; onClose: () => void }): ReactElement {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const { client } = useStudio();
  const selected = useCaptions((state) => state.selected);
  const [find, setFind] = useState('');
  const [replacement, setReplacement] = useState('');
  const [matchCase, setMatchCase] = useState(false);
  const [wholeWord, setWholeWord] = useState(false);
  const [onlySelected, setOnlySelected] = useState(selected.size > 1);
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<ErrorData | null>(null);
  const [isBusy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  const formId = useId();
  const isScoped = onlySelected && selected.size > 1;

  useEffect(() => {
    setFound(null);
    if (find === '') return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const itemIds = isScoped ? [...selected] : null;
      client.caption
        .replace({ find, replacement, matchCase, wholeWord, itemIds, apply: false }, { signal: abort.signal })
        .then(
          (answer) => {
            setFound(answer);
            setError(null);
          },
          (thrown: unknown) => {
            if (!abort.signal.aborted) setError(toErrorData(thrown));
          },
        );
    }, countAfterMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [client, find, replacement, matchCase, wholeWord, isScoped, selected]);

  const apply = async (): Promise<void> => {
    setBusy(true);
    try {
      const itemIds = isScoped ? [...selected] : null;
      const { matches, items } = await client.caption.replace({
        find,
        replacement,
        matchCase,
        wholeWord,
        itemIds,
        apply: true,
      });
      showToast({
        title: t('replace.done', { count: items, number: formatNumber(items, 0), matches: formatNumber(matches, 0) }),
        action: { label: studio('common.undo'), onSelect: actions.undo },
      });
      onClose();
    } catch (thrown) {
      setError(toErrorData(thrown));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={t('replace.title')}
      description={t('replace.description')}
      initialFocus={first}
      footer={
        <>
          <Button onClick={onClose}>{studio('common.cancel')}</Button>
          <Button
            variant="primary"
            type="submit"
            form={formId}
            isBusy={isBusy}
            disabled={found === null || found.matches === 0}
          >
            {found === null || found.matches === 0
              ? t('replace.apply')
              : t('replace.applyCount', { count: found.matches, number: formatNumber(found.matches, 0) })}
          </Button>
        </>
      }
    >
      <form
        id={formId}
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (found !== null && found.matches > 0 && !isBusy) void apply();
        }}
      >
        <Field label={t('replace.find')}>
          <Input ref={first} value={find} onValueChange={setFind} maxLength={longestFind} />
        </Field>
        <Field label={t('replace.with')} hint={t('replace.withHint')}>
          <Input value={replacement} onValueChange={setReplacement} />
        </Field>
        <Field layout="row" className="py-0" label={t('replace.matchCase')}>
          <Switch checked={matchCase} onCheckedChange={setMatchCase} />
        </Field>
        <Field layout="row" className="py-0" label={t('replace.wholeWord')}>
          <Switch checked={wholeWord} onCheckedChange={setWholeWord} />
        </Field>
        {selected.size > 1 ? (
          <Field
            layout="row"
            className="py-0"
            label={t('replace.onlySelected', { count: selected.size, number: formatNumber(selected.size, 0) })}
          >
            <Switch checked={onlySelected} onCheckedChange={setOnlySelected} />
          </Field>
        ) : null}
        {error === null ? null : <ErrorNotice error={error} />}
        <p role="status" className="tnum text-sm text-muted">
          {find === ''
            ? t('replace.type')
            : found === null
              ? t('replace.counting')
              : found.matches === 0
                ? t('replace.none')
                : t('replace.count', {
                    count: found.items,
                    number: formatNumber(found.items, 0),
                    matches: formatNumber(found.matches, 0),
                  })}
        </p>
        {found === null || found.samples.length === 0 ? null : (
          <ul aria-label={t('replace.samples')} className="flex flex-col gap-2">
            {found.samples.map(({ itemId, before, after }) => (
              <li key={itemId} className="rounded-md bg-sunken px-3 py-2 text-xs wrap-anywhere">
                <Change before={before} after={after} />
              </li>
            ))}
          </ul>
        )}
      </form>
    </Dialog>
  );
}

/** Only what differs is struck out and put in, with some words around it. */
function Change({ before, after }: { before: string; after: string }): ReactElement {
  const { head, removed, added, tail } = changeOf(before, after);
  return (
    <p className="line-clamp-3 text-muted">
      {head}
      <del className="bg-danger-soft text-danger">{removed}</del>
      <ins className="bg-ok-soft text-ok no-underline">{added}</ins>
      {tail}
    </p>
  );
}
