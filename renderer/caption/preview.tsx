import { Check, Square } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionBatch } from '../../contract/caption.ts';
import { useStudio } from '../client/context.tsx';
import { formatNumber } from '../i18n/format.ts';
import { Button, showError } from '../ui/index.ts';
import { usePicture } from './pictures.ts';
import { only } from './selection.ts';
import { updateSelection, useCaptions } from './store.ts';

const thumbnailSide = 320;

/** The first results of a batch, before all others are made. */
export function Preview({ batch }: { batch: CaptionBatch }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const latestIds = useCaptions((state) => state.latestIds);
  const { jobId, done, failed, total } = batch;
  const rest = total - done - failed;
  return (
    <section
      aria-label={t('preview.title')}
      className="flex shrink-0 flex-col gap-2 border-b border-line bg-accent-soft px-4 py-3"
    >
      <div className="flex flex-wrap items-center gap-2">
        <div role="status" className="min-w-48 flex-1">
          <p className="text-sm font-semibold">{t('preview.title')}</p>
          <p className="text-xs text-muted">{t('preview.hint')}</p>
        </div>
        <Button variant="primary" icon={<Check />} onClick={() => void client.caption.goOn({ jobId }).catch(showError)}>
          {t('preview.goOn', { count: rest, number: formatNumber(rest, 0) })}
        </Button>
        <Button icon={<Square />} onClick={() => void client.jobs.cancel({ jobId }).catch(showError)}>
          {t('preview.stop')}
        </Button>
      </div>
      {latestIds.length === 0 ? null : (
        <ul className="grid grid-cols-[repeat(auto-fit,minmax(14rem,1fr))] gap-2 max-sm:max-h-60 max-sm:overflow-y-auto">
          {latestIds.toReversed().map((itemId) => (
            <Card key={itemId} itemId={itemId} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Card({ itemId }: { itemId: string }): ReactElement | null {
  const item = useCaptions(({ items }) => items.get(itemId));
  const picture = usePicture(itemId, thumbnailSide);
  if (item === undefined) return null;
  return (
    <li>
      <button
        type="button"
        onClick={() => {
          updateSelection(() => only(itemId));
          useCaptions.setState({ isDetailOpen: true });
        }}
        className="flex h-full w-full items-start gap-2 rounded-lg bg-surface p-2 text-left hover:bg-hover"
      >
        <span className="block size-14 shrink-0 overflow-hidden rounded-md bg-sunken">
          {typeof picture === 'object' ? <img src={picture.address} alt="" className="size-full object-cover" /> : null}
        </span>
        <span className="min-w-0 flex-1">
          <span className="block truncate text-xs font-medium">{item.name}</span>
          <span className="line-clamp-3 text-xs text-muted">{item.text}</span>
        </span>
      </button>
    </li>
  );
}
