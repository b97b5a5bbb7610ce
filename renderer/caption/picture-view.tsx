import { ImageOff, ZoomIn, ZoomOut } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem } from '../../contract/caption.ts';
import { cx, IconButton, Spinner } from '../ui/index.ts';
import { usePicture } from './pictures.ts';

const fittedSide = 1600;
const zoomedSide = 4096;
const thumbnailSide = 320;

/** The picture as large as there is room, or pixel by pixel. While it comes, the small one stands in. */
export function PictureView({ item }: { item: CaptionItem }): ReactElement {
  const { t } = useTranslation('caption');
  const [isZoomed, setZoomed] = useState(false);
  const small = usePicture(item.id, thumbnailSide);
  const fitted = usePicture(item.id, fittedSide);
  const zoomed = usePicture(isZoomed ? item.id : null, zoomedSide);
  const shown = [isZoomed ? zoomed : 'loading', fitted, small].find((picture) => typeof picture === 'object');
  const isLoading = fitted === 'loading' || (isZoomed && zoomed === 'loading');
  const alt = item.text === '' ? t('detail.pictureOf', { name: item.name }) : item.text;
  return (
    <div className="relative flex min-h-48 flex-1 bg-sunken max-md:min-h-[45vh]">
      {/* Scrolls with the keyboard, too, while it is larger than its room. */}
      <div
        className={cx('flex min-h-0 min-w-0 flex-1', isZoomed ? 'overflow-auto' : 'overflow-hidden p-3')}
        {...(isZoomed ? { tabIndex: 0, role: 'region', 'aria-label': t('detail.zoomed') } : {})}
      >
        {typeof shown === 'object' ? (
          <img
            src={shown.address}
            alt={alt}
            className={cx(isZoomed ? 'm-auto max-w-none' : 'm-auto max-h-full max-w-full object-contain')}
          />
        ) : fitted === 'missing' ? (
          <span className="m-auto flex flex-col items-center gap-2 text-sm text-muted">
            <ImageOff aria-hidden className="size-8 stroke-[1.25] text-faint" />
            {t('detail.noPicture')}
          </span>
        ) : null}
      </div>
      {isLoading ? <Spinner className="absolute top-3 left-3 text-faint" /> : null}
      <IconButton
        size="sm"
        variant="secondary"
        label={t(isZoomed ? 'detail.zoomOut' : 'detail.zoomIn')}
        aria-pressed={isZoomed}
        icon={isZoomed ? <ZoomOut /> : <ZoomIn />}
        className="absolute right-3 bottom-3"
        onClick={() => setZoomed(!isZoomed)}
      />
    </div>
  );
}
