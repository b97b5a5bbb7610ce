import {
  AudioWaveform,
  Download,
  GitBranch,
  Pause,
  Play,
  Repeat,
  Scissors,
  SquareStack,
  X,
  ZoomIn,
  ZoomOut,
} from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { ReactElement, RefObject } from 'react';
import { useTranslation } from 'react-i18next';
import WaveSurfer from 'wavesurfer.js';
import RegionsPlugin from 'wavesurfer.js/dist/plugins/regions.js';
import SpectrogramPlugin from 'wavesurfer.js/dist/plugins/spectrogram.js';
import TimelinePlugin from 'wavesurfer.js/dist/plugins/timeline.js';
import type { AudioTake } from '../../contract/audio.ts';
import { useStudio } from '../client/context.tsx';
import { formatNumber } from '../i18n/format.ts';
import { Button, IconButton, showError, Spinner } from '../ui/index.ts';
import { useAudio } from './store.ts';
import type { Region } from './store.ts';

/** For the player only: what is exported is made from the kept samples. */
const listening = { format: 'wav', bitDepth: 16, normalize: 'safe' } as const;
const waveHeightPx = 96;
const seekSeconds = 1;

type Regions = ReturnType<typeof RegionsPlugin.create>;

interface Loaded {
  readonly surfer: WaveSurfer;
  readonly regions: Regions;
}

interface Playing {
  readonly isPlaying: boolean;
  readonly seconds: number;
  readonly region: Region | null;
}

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;
const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The selected take: heard, looked at, and marked. */
export function Player({
  take,
  other,
  onExport,
}: {
  take: AudioTake;
  /** Another take to switch to and fro with. */
  other: AudioTake | null;
  onExport: (region: Region | null) => void;
}): ReactElement {
  const { t } = useTranslation();
  const wave = useRef<HTMLDivElement>(null);
  const [isOther, setOther] = useState(false);
  const [hasSpectrum, setSpectrum] = useState(false);
  const [isLooping, setLooping] = useState(false);
  const [zoom, setZoom] = useState(0);
  const heard = isOther && other !== null ? other : take;
  const unheard = other === null ? null : heard === take ? other : take;
  const { loaded, state, isLoading } = useSurfer(wave, heard, {
    hasSpectrum,
    isLooping,
    matchedId: unheard?.id ?? null,
  });
  const extension = useExtension(heard);

  useEffect(() => {
    if (loaded !== null && !isLoading) loaded.surfer.zoom(zoom);
  }, [loaded, isLoading, zoom]);
  usePlayerKeys(loaded?.surfer ?? null);

  return (
    <section
      aria-label={t('audio.player')}
      className="flex shrink-0 flex-col gap-2 border-t border-line bg-surface p-3"
    >
      <div className="relative">
        <div ref={wave} className="min-h-24 w-full overflow-hidden rounded-md bg-sunken" />
        {isLoading ? <Spinner className="absolute top-10 left-1/2" /> : null}
      </div>
      <div className="flex flex-wrap items-center gap-1">
        <IconButton
          label={state.isPlaying ? t('audio.pause') : t('audio.play')}
          shortcut="Space"
          variant="primary"
          icon={state.isPlaying ? <Pause /> : <Play />}
          onClick={() => void loaded?.surfer.playPause().catch(showError)}
        />
        <output className="tnum w-28 px-2 text-xs text-muted">
          {formatNumber(state.seconds, 2)} / {t('audio.seconds', { value: formatNumber(heard.seconds, 2) })}
        </output>
        <IconButton
          label={t('audio.loop')}
          aria-pressed={isLooping}
          variant={isLooping ? 'secondary' : 'ghost'}
          icon={<Repeat />}
          onClick={() => setLooping(!isLooping)}
        />
        <IconButton
          label={t('audio.spectrum')}
          aria-pressed={hasSpectrum}
          variant={hasSpectrum ? 'secondary' : 'ghost'}
          icon={<AudioWaveform />}
          onClick={() => setSpectrum(!hasSpectrum)}
        />
        <IconButton
          label={t('audio.zoomOut')}
          icon={<ZoomOut />}
          disabled={zoom === 0}
          onClick={() => setZoom(zoom < 50 ? 0 : zoom / 2)}
        />
        <IconButton
          label={t('audio.zoomIn')}
          icon={<ZoomIn />}
          disabled={zoom >= 800}
          onClick={() => setZoom(zoom === 0 ? 50 : zoom * 2)}
        />
        {other === null ? null : (
          <span className="flex items-center gap-1 pl-2">
            <Button
              size="sm"
              aria-pressed={!isOther}
              variant={isOther ? 'ghost' : 'secondary'}
              onClick={() => setOther(false)}
            >
              A
            </Button>
            <Button
              size="sm"
              aria-pressed={isOther}
              variant={isOther ? 'secondary' : 'ghost'}
              onClick={() => setOther(true)}
            >
              B
            </Button>
            <span className="max-w-40 truncate text-xs text-muted">{heard.name}</span>
            <IconButton
              size="sm"
              label={t('audio.stopComparing')}
              icon={<X />}
              onClick={() => useAudio.setState({ otherId: null })}
            />
          </span>
        )}
        <span className="flex-1" />
        {state.region === null ? (
          <>
            <Button size="sm" icon={<Scissors />} onClick={() => mark(loaded, heard.seconds)}>
              {t('audio.mark')}
            </Button>
            <Button
              size="sm"
              icon={<SquareStack />}
              disabled={extension === null}
              title={extension === null ? t('audio.extendFull') : undefined}
              onClick={() => startFrom(heard, extension)}
            >
              {t('audio.extend')}
            </Button>
          </>
        ) : (
          <RegionActions take={heard} region={state.region} regions={loaded?.regions ?? null} />
        )}
        <Button size="sm" icon={<Download />} onClick={() => onExport(state.region)}>
          {t('audio.export')}
        </Button>
      </div>
    </section>
  );
}

function RegionActions({
  take,
  region,
  regions,
}: {
  take: AudioTake;
  region: Region;
  regions: Regions | null;
}): ReactElement {
  const { t } = useTranslation();
  return (
    <>
      <span className="tnum text-xs text-muted">
        {t('audio.regionSpan', { start: formatNumber(region.start, 2), end: formatNumber(region.end, 2) })}
      </span>
      <Button size="sm" icon={<GitBranch />} onClick={() => startFrom(take, region)}>
        {t('audio.remake')}
      </Button>
      <IconButton size="sm" label={t('audio.unmark')} icon={<X />} onClick={() => regions?.clearRegions()} />
    </>
  );
}

const extensionSeconds = 4;
const overlapSeconds = 0.5;
const shortestExtension = 0.1;

/** From just before its end to some seconds behind it, within the model's window; null where that is full. */
function useExtension({ seconds }: AudioTake): Region | null {
  const longest = useAudio(({ longestSeconds }) => longestSeconds) ?? Infinity;
  const end = Math.min(seconds + extensionSeconds, longest);
  return end - seconds < shortestExtension ? null : { start: Math.max(0, seconds - overlapSeconds), end };
}

function startFrom(take: AudioTake, region: Region | null): void {
  useAudio.setState({ source: { takeId: take.id, name: take.name, region } });
}

/** The middle half, to be dragged to where it should be. */
function mark(loaded: Loaded | null, seconds: number): void {
  loaded?.regions.clearRegions();
  loaded?.regions.addRegion({ start: seconds / 4, end: (seconds * 3) / 4, color: `${color('--accent')}33` });
}

/** A wavesurfer for a take; made anew with the take and with what it shows. */
function useSurfer(
  container: RefObject<HTMLDivElement | null>,
  take: AudioTake,
  { hasSpectrum, isLooping, matchedId }: { hasSpectrum: boolean; isLooping: boolean; matchedId: string | null },
): { loaded: Loaded | null; state: Playing; isLoading: boolean } {
  const { client } = useStudio();
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [state, setState] = useState<Playing>({ isPlaying: false, seconds: 0, region: null });
  const looping = useRef(isLooping);
  const { id: takeId } = take;
  useEffect(() => {
    looping.current = isLooping;
  }, [isLooping]);

  useEffect(() => {
    if (container.current === null) return;
    const abort = new AbortController();
    const regions = RegionsPlugin.create();
    const surfer = WaveSurfer.create({
      container: container.current,
      height: waveHeightPx,
      waveColor: color('--faint'),
      progressColor: color('--accent'),
      cursorColor: color('--ink'),
      dragToSeek: true,
      ...(nonce === undefined ? {} : { cspNonce: nonce }),
      plugins: [
        regions,
        TimelinePlugin.create({ height: 16 }),
        ...(hasSpectrum ? [SpectrogramPlugin.create({ height: 128, labels: false, scale: 'mel' })] : []),
      ],
    });
    setLoaded({ surfer, regions });
    setLoading(true);
    setState({ isPlaying: false, seconds: 0, region: null });
    regions.enableDragSelection({ color: `${color('--accent')}33` });
    const show = (patch: Partial<Playing>): void => setState((now) => ({ ...now, ...patch }));
    const tellRegion = (): void => {
      const [first] = regions.getRegions();
      show({ region: first === undefined ? null : { start: first.start, end: first.end } });
    };
    regions.on('region-created', (created) => {
      for (const region of regions.getRegions()) if (region !== created) region.remove();
      tellRegion();
    });
    regions.on('region-updated', tellRegion);
    regions.on('region-removed', () => queueMicrotask(tellRegion));
    regions.on('region-out', (region) => {
      if (looping.current) region.play();
    });
    surfer.on('play', () => show({ isPlaying: true }));
    surfer.on('pause', () => show({ isPlaying: false }));
    surfer.on('timeupdate', (seconds) => show({ seconds }));
    surfer.on('finish', () => {
      if (looping.current && regions.getRegions().length === 0) void surfer.play();
    });
    const load = async (): Promise<void> => {
      const { signal } = abort;
      const loudness = async (id: string): Promise<number> =>
        (await client.audio.peaks({ takeId: id, parts: 1 }, { signal })).loudness;
      const [{ bytes }, own, others] = await Promise.all([
        client.audio.file({ takeId, format: listening, region: null, template: '{name}' }, { signal }),
        matchedId === null ? 0 : loudness(takeId),
        matchedId === null ? 0 : loudness(matchedId),
      ]);
      if (abort.signal.aborted) return;
      await surfer.loadBlob(new Blob([Uint8Array.from(bytes)], { type: 'audio/wav' }));
      // The louder of two comes down to the other.
      surfer.setVolume(Math.min(1, 10 ** ((others - own) / 20)));
      setLoading(false);
    };
    load().catch((thrown: unknown) => {
      if (!abort.signal.aborted) showError(thrown);
    });
    return () => {
      abort.abort();
      surfer.destroy();
      setLoaded(null);
    };
  }, [client, container, takeId, hasSpectrum, matchedId]);
  return { loaded, state, isLoading };
}

/** Space plays, the arrows seek, wherever nothing else wants them. */
function usePlayerKeys(surfer: WaveSurfer | null): void {
  useEffect(() => {
    if (surfer === null) return;
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (
        target.closest('input, textarea, select, button, [role="menu"], [role="dialog"], [role="slider"], summary') !==
        null
      )
        return;
      if (event.key === ' ') void surfer.playPause().catch(showError);
      else if (event.key === 'ArrowLeft') surfer.skip(-seekSeconds);
      else if (event.key === 'ArrowRight') surfer.skip(seekSeconds);
      else if (event.key === 'Home') surfer.setTime(0);
      else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [surfer]);
}
