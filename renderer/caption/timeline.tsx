import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionSegment } from '../../contract/caption.ts';
import { cx } from '../ui/index.ts';
import { usePicture } from './pictures.ts';
import { clock } from './time.ts';

const mostFrames = 12;
const framesBefore = 8;
const thumbnailSide = 160;

/** Which frames the strip shows: those that the model saw, thinned out evenly; before that, some to find one's way. */
export function shownFrames(segments: readonly CaptionSegment[], duration: number): number[] {
  const seen = segments.flatMap(({ frames }) => frames);
  if (seen.length === 0) return Array.from({ length: framesBefore }, (_, at) => ((at + 0.5) * duration) / framesBefore);
  if (seen.length <= mostFrames) return seen;
  return Array.from({ length: mostFrames }, (_, at) => seen[Math.floor(((at + 0.5) * seen.length) / mostFrames)] ?? 0);
}

/** The clip from left to right: its frames, its stretches, and where it is now. */
export function Timeline({
  itemId,
  segments,
  duration,
  seconds,
  onSeek,
}: {
  itemId: string;
  segments: readonly CaptionSegment[];
  duration: number;
  seconds: number;
  onSeek: (seconds: number) => void;
}): ReactElement {
  const { t } = useTranslation('caption');
  const frames = shownFrames(segments, duration);
  // Under a minute, frames are often closer than a second.
  const hasTenths = duration < 60;
  const now = frames.findLastIndex((time) => time <= seconds);
  const share = (time: number): string => `${(Math.min(time, duration) / duration) * 100}%`;
  return (
    <div className="flex shrink-0 flex-col gap-1 px-4 py-2">
      <ol aria-label={t('clip.frames')} className="flex gap-1 overflow-x-auto py-0.5">
        {frames.map((time, at) => (
          <li key={time} className="min-w-12 flex-1">
            <button
              type="button"
              aria-label={t('clip.seek', { time: clock(time, hasTenths) })}
              aria-current={at === now}
              onClick={() => onSeek(time)}
              className="block w-full rounded-md border-2 border-transparent p-px hover:border-line-strong aria-current:border-accent"
            >
              <Frame itemId={itemId} seconds={time} />
              <span className="tnum block text-center text-2xs text-muted">{clock(time, hasTenths)}</span>
            </button>
          </li>
        ))}
      </ol>
      {segments.length === 0 ? null : (
        <div className="relative h-3" aria-hidden>
          {segments.map(({ start, end }) => (
            <span
              key={start}
              className={cx(
                'absolute inset-y-0.5 rounded-full border-x-2 border-canvas',
                seconds >= start && seconds < end ? 'bg-accent' : 'bg-line-strong',
              )}
              style={{ left: share(start), width: share(end - start) }}
            />
          ))}
          <span className="absolute inset-y-0 w-0.5 rounded-full bg-ink" style={{ left: share(seconds) }} />
        </div>
      )}
    </div>
  );
}

function Frame({ itemId, seconds }: { itemId: string; seconds: number }): ReactElement {
  const picture = usePicture(itemId, thumbnailSide, seconds);
  return (
    <span className="block aspect-4/3 w-full overflow-hidden rounded border border-line bg-sunken">
      {typeof picture === 'object' ? (
        <img src={picture.address} alt="" draggable={false} className="size-full object-cover" />
      ) : null}
    </span>
  );
}
