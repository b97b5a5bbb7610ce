import { useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem } from '../../contract/caption.ts';
import { useStudio } from '../client/context.tsx';
import { mediaAddress } from '../client/media.ts';
import { Spinner } from '../ui/index.ts';
import { CaptionEditor } from './editor.tsx';
import { usePicture } from './pictures.ts';
import type { Writing } from './store.ts';
import { clock } from './time.ts';
import { Timeline } from './timeline.tsx';

const frameSide = 1600;

/** A clip: played, with the frames that the model saw and the caption of each stretch under it. */
export function ClipView({
  item,
  writing,
  onLeaveEditor,
}: {
  item: CaptionItem;
  writing: Writing | null;
  onLeaveEditor: () => void;
}): ReactElement {
  const { t } = useTranslation('caption');
  const video = useRef<HTMLVideoElement>(null);
  const [seconds, setSeconds] = useState(0);
  const { address, hasFailed, fail } = useMedia(item.id);
  const [played, setPlayed] = useState<number | null>(null);
  const duration = item.seconds ?? played;
  const { segments } = item;
  // Under a minute, scenes are often shorter than a second.
  const hasTenths = duration !== null && duration < 60;
  const current = segments.findIndex(({ start, end }) => seconds >= start && seconds < end);
  const seek = (to: number): void => {
    setSeconds(to);
    if (video.current !== null) video.current.currentTime = to;
  };
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto max-md:flex-none max-md:overflow-visible">
      <div className="flex min-h-48 flex-1 items-center justify-center bg-sunken p-3 max-md:min-h-60">
        {hasFailed ? (
          <Still itemId={item.id} seconds={seconds} name={item.name} />
        ) : address === null ? (
          <Spinner className="text-faint" />
        ) : (
          // Its words are what this panel is about to write.
          // oxlint-disable-next-line jsx-a11y/media-has-caption
          <video
            ref={video}
            src={address}
            controls
            playsInline
            preload="metadata"
            aria-label={t('clip.player', { name: item.name })}
            onError={fail}
            onLoadedMetadata={({ currentTarget }) => {
              setPlayed(Number.isFinite(currentTarget.duration) ? currentTarget.duration : null);
              // A file with sound only, or a picture that cannot be decoded, has no size.
              if (currentTarget.videoWidth === 0) fail();
            }}
            onTimeUpdate={({ currentTarget }) => setSeconds(currentTarget.currentTime)}
            className="max-h-full min-h-0 max-w-full rounded-md"
          />
        )}
      </div>
      {hasFailed ? <p className="px-4 pt-2 text-xs text-muted">{t('clip.cannotPlay')}</p> : null}
      {duration === null ? null : (
        <Timeline itemId={item.id} segments={segments} duration={duration} seconds={seconds} onSeek={seek} />
      )}
      {segments.length === 0 ? null : (
        <ol aria-label={t('clip.segments')} className="flex flex-col gap-1 px-4 pb-2">
          {segments.map((segment, at) => (
            <li key={at} className="flex items-start gap-2">
              <button
                type="button"
                aria-current={at === current}
                onClick={() => seek(segment.start)}
                className="tnum mt-1.5 w-28 shrink-0 rounded-md px-1 py-0.5 text-left text-xs text-muted hover:bg-hover aria-current:bg-accent-soft aria-current:text-accent-ink"
              >
                <span className="sr-only">{t('clip.goTo')} </span>
                {clock(segment.start, hasTenths)} – {clock(segment.end, hasTenths)}
              </button>
              <div className="min-w-0 flex-1">
                <CaptionEditor
                  itemId={item.id}
                  segment={at}
                  text={segment.text}
                  writing={writing?.segment === at ? writing.text : null}
                  label={t('clip.segment', {
                    start: clock(segment.start, hasTenths),
                    end: clock(segment.end, hasTenths),
                  })}
                  isReadOnly={item.isLocked || item.state === 'running'}
                  minRows={1}
                  onLeave={onLeaveEditor}
                />
              </div>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

/** One frame, where the clip itself does not play here. */
function Still({ itemId, seconds, name }: { itemId: string; seconds: number; name: string }): ReactElement {
  const { t } = useTranslation('caption');
  const frame = usePicture(itemId, frameSide, seconds);
  if (frame === 'loading') return <Spinner className="text-faint" />;
  if (frame === 'missing') return <p className="text-sm text-muted">{t('clip.noFrame')}</p>;
  return (
    <img
      src={frame.address}
      alt={t('clip.frameOf', { name, time: clock(seconds) })}
      className="max-h-full max-w-full rounded-md object-contain"
    />
  );
}

/** The file's own address; grants end with a session, so it is asked for each time. */
function useMedia(itemId: string): { address: string | null; hasFailed: boolean; fail: () => void } {
  const { client } = useStudio();
  const [state, setState] = useState<{ address: string | null; hasFailed: boolean }>({
    address: null,
    hasFailed: false,
  });
  useEffect(() => {
    const abort = new AbortController();
    client.caption.open({ itemId }, { signal: abort.signal }).then(
      ({ id }) => setState({ address: mediaAddress(id), hasFailed: false }),
      () => {
        // Why it cannot be opened is told where its caption is.
        if (!abort.signal.aborted) setState({ address: null, hasFailed: true });
      },
    );
    return () => abort.abort();
  }, [client, itemId]);
  return { ...state, fail: () => setState((now) => ({ ...now, hasFailed: true })) };
}
