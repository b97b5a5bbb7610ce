import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { captionFormats } from '../../contract/caption.ts';
import type { CaptionFormat } from '../../contract/caption.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { saveFile } from '../client/save-file.ts';
import { useStudio } from '../client/context.tsx';
import { useAppInfo } from '../client/stores.ts';
import { formatNumber } from '../i18n/format.ts';
import { errorText } from '../i18n/errors.ts';
import { Button, Dialog, ErrorNotice, Field, Select, showToast, Switch } from '../ui/index.ts';
import { useCaptions } from './store.ts';

type Place = 'beside' | 'folder' | 'download';

/** One file each, beside what it belongs to. The others hold all captions in one. */
const besideFormats: ReadonlySet<CaptionFormat> = new Set(['txt', 'srt', 'vtt']);

export function ExportDialog({ onClose }: { onClose: () => void }): ReactElement {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const { client } = useStudio();
  const canPick = useAppInfo(({ info }) => info?.canPickFiles ?? false);
  const selected = useCaptions((state) => state.selected);
  const all = useCaptions(({ counts }) => counts.all);
  const [format, setFormat] = useState<CaptionFormat>('txt');
  const [wanted, setPlace] = useState<Place>('beside');
  const [which, setWhich] = useState<'all' | 'selected'>(selected.size > 1 ? 'selected' : 'all');
  const [replaces, setReplaces] = useState(false);
  const [error, setError] = useState<ErrorData | null>(null);
  const [isBusy, setBusy] = useState(false);
  const places: Place[] = [
    ...(besideFormats.has(format) ? (['beside'] as const) : []),
    ...(canPick ? (['folder'] as const) : []),
    'download',
  ];
  const place = places.includes(wanted) ? wanted : (places[0] ?? 'download');

  const save = async (): Promise<void> => {
    const itemIds = which === 'selected' && selected.size > 0 ? [...selected] : null;
    if (place === 'download') {
      const { name, type, bytes, written } = await client.caption.exportBytes({ format, itemIds });
      saveFile({ fileName: name, mimeType: type, bytes });
      showToast({ title: t('export.done', { count: written, number: formatNumber(written, 0) }) });
      return onClose();
    }
    let folderGrantId: string | null = null;
    if (place === 'folder') {
      const picked = await client.files.pick({ purpose: 'folder' });
      if (picked?.grants[0] === undefined) return;
      folderGrantId = picked.grants[0].id;
    }
    const existing = replaces ? 'replace' : 'skip';
    const { written, skipped, empty, problems } = await client.caption.exportFiles({
      format,
      itemIds,
      folderGrantId,
      existing,
    });
    const [problem] = problems;
    const notes = [
      skipped > 0 ? t('export.skipped', { count: skipped, number: formatNumber(skipped, 0) }) : null,
      empty > 0 ? t('export.empty', { count: empty, number: formatNumber(empty, 0) }) : null,
      problem === undefined
        ? null
        : t('export.problems', { count: problems.length, first: errorText(problem).message }),
    ].filter((note) => note !== null);
    showToast({
      title: t('export.written', { count: written, number: formatNumber(written, 0) }),
      description: notes.length === 0 ? undefined : notes.join(' '),
      tone: problem === undefined ? 'info' : 'error',
    });
    onClose();
  };

  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={t('export.title')}
      description={t('export.description')}
      footer={
        <>
          <Button onClick={onClose}>{studio('common.cancel')}</Button>
          <Button
            variant="primary"
            isBusy={isBusy}
            onClick={() => {
              setBusy(true);
              save()
                .catch((thrown: unknown) => setError(toErrorData(thrown)))
                .finally(() => setBusy(false));
            }}
          >
            {t(`export.save.${place}`)}
          </Button>
        </>
      }
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t('export.format')} hint={t(`export.formatHint.${format}`)}>
          <Select
            value={format}
            onValueChange={setFormat}
            options={captionFormats.map((value) => ({ value, label: t(`export.formats.${value}`) }))}
          />
        </Field>
        <Field label={t('export.place')} hint={t(`export.placeHint.${place}`)}>
          <Select
            value={place}
            onValueChange={setPlace}
            options={places.map((value) => ({ value, label: t(`export.places.${value}`) }))}
          />
        </Field>
        <Field label={t('export.which')}>
          <Select
            value={which}
            onValueChange={setWhich}
            options={[
              { value: 'all', label: t('export.all', { count: all, number: formatNumber(all, 0) }) },
              {
                value: 'selected',
                label: t('export.selected', { count: selected.size, number: formatNumber(selected.size, 0) }),
                disabled: selected.size === 0,
              },
            ]}
          />
        </Field>
        {place === 'download' ? null : (
          <Field label={t('export.existing')} hint={t(replaces ? 'export.replaceHint' : 'export.skipHint')}>
            <div className="flex h-8 items-center">
              <Switch checked={replaces} onCheckedChange={setReplaces} />
            </div>
          </Field>
        )}
      </div>
      {error === null ? null : <ErrorNotice error={error} className="mt-3" />}
    </Dialog>
  );
}
