import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { audioFormatSchema, audioNameParts } from '../../contract/audio.ts';
import type { AudioFormat, AudioTake } from '../../contract/audio.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { useStudio } from '../client/context.tsx';
import { saveFile } from '../client/save-file.ts';
import { formatNumber } from '../i18n/format.ts';
import { Button, Dialog, ErrorNotice, Field, Input, Select } from '../ui/index.ts';
import type { Region } from './store.ts';

const formats = audioFormatSchema.shape.format.options;
const names = { wav: 'WAV', flac: 'FLAC', mp3: 'MP3', m4a: 'AAC (M4A)', ogg: 'Opus (OGG)' } as const;
const depths = [16, 24, 32] as const;
const levels = ['safe', 'peak', 'off'] as const;
const templateKey = 'lutra.audio.exportName';
const plainTemplate = '{name}';
const nameParts = audioNameParts.map((part) => `{${part}}`).join(' ');

/** Writes a take, or a part of it, as a file that carries its settings. */
export function ExportDialog({
  take,
  region,
  onClose,
}: {
  take: AudioTake;
  region: Region | null;
  onClose: () => void;
}): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const [format, setFormat] = useState<AudioFormat>({ format: 'wav', bitDepth: 24, normalize: 'safe' });
  const [template, setTemplate] = useState(() => localStorage.getItem(templateKey) ?? plainTemplate);
  const [error, setError] = useState<ErrorData | null>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      localStorage.setItem(templateKey, template);
      const { name, bytes } = await client.audio.file({
        takeId: take.id,
        format,
        region,
        template: template.trim() === '' ? plainTemplate : template,
      });
      saveFile({ fileName: name, mimeType: 'application/octet-stream', bytes });
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
      title={t('audio.exportTitle', { name: take.name })}
      description={
        region === null
          ? t('audio.exportWhole')
          : t('audio.exportRegion', { start: formatNumber(region.start, 2), end: formatNumber(region.end, 2) })
      }
      footer={
        <>
          <Button onClick={onClose}>{t('common.cancel')}</Button>
          <Button variant="primary" isBusy={isBusy} onClick={() => void save()}>
            {t('audio.exportSave')}
          </Button>
        </>
      }
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label={t('audio.fileName')}
          hint={t('audio.fileNameHint', { parts: nameParts })}
          className="sm:col-span-2"
        >
          <Input value={template} onValueChange={setTemplate} maxLength={200} />
        </Field>
        <Field label={t('audio.format')} hint={t(`audio.formatHint.${format.format}`)}>
          <Select
            value={format.format}
            onValueChange={(value) => setFormat({ ...format, format: value })}
            options={formats.map((value) => ({ value, label: names[value] }))}
          />
        </Field>
        {format.format === 'wav' ? (
          <Field label={t('audio.bitDepth')}>
            <Select
              value={String(format.bitDepth)}
              onValueChange={(value) =>
                setFormat({ ...format, bitDepth: depths.find((depth) => String(depth) === value) ?? 24 })
              }
              options={depths.map((depth) => ({ value: String(depth), label: t(`audio.depth.b${depth}`) }))}
            />
          </Field>
        ) : null}
        <Field label={t('audio.normalize')} hint={t(`audio.normalizeHint.${format.normalize}`)}>
          <Select
            value={format.normalize}
            onValueChange={(value) => setFormat({ ...format, normalize: value })}
            options={levels.map((value) => ({ value, label: t(`audio.normalizeHow.${value}`) }))}
          />
        </Field>
      </div>
      {error === null ? null : <ErrorNotice error={error} className="mt-3" />}
    </Dialog>
  );
}
