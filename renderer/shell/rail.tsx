import { AudioLines, Boxes, Image, ListChecks, MessageSquare, Search, Settings } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { panels, useNavigation } from '../client/navigation.ts';
import type { Panel } from '../client/navigation.ts';
import { useJobs } from '../client/stores.ts';
import { cx, IconButton, Tooltip } from '../ui/index.ts';
import mark from './lutra.svg';

const icons: Record<Panel, ReactElement> = {
  chat: <MessageSquare aria-hidden />,
  caption: <Image aria-hidden />,
  audio: <AudioLines aria-hidden />,
  models: <Boxes aria-hidden />,
  jobs: <ListChecks aria-hidden />,
  settings: <Settings aria-hidden />,
};

/** To the left; at the bottom of a narrow window. */
export function Rail({ onPalette }: { onPalette: () => void }): ReactElement {
  const { t } = useTranslation();
  return (
    <nav
      aria-label={t('shell.rail')}
      className="flex w-18 shrink-0 flex-col items-stretch gap-0.5 border-r border-line bg-sunken px-1.5 py-2 max-sm:w-full max-sm:flex-row max-sm:justify-between max-sm:border-t max-sm:border-r-0 max-sm:py-1"
    >
      <img src={mark} alt="" width={26} height={26} className="mx-auto mt-1 mb-3 max-sm:hidden" />
      {panels.map((panel, at) => (
        <RailItem key={panel} panel={panel} shortcut={`$mod+Digit${at + 1}`} />
      ))}
      <span className="mt-auto flex justify-center max-sm:hidden">
        <IconButton
          label={t('shell.menu')}
          shortcut="$mod+KeyK"
          tooltipSide="right"
          icon={<Search />}
          onClick={onPalette}
        />
      </span>
    </nav>
  );
}

function RailItem({ panel, shortcut }: { panel: Panel; shortcut: string }): ReactElement {
  const { t } = useTranslation();
  const isHere = useNavigation((place) => place.panel === panel);
  const go = useNavigation((place) => place.go);
  const running = useJobs(
    ({ items }) => items.filter(({ status }) => status === 'running' || status === 'queued').length,
  );
  const label = t(`panels.${panel}`);
  const count = panel === 'jobs' ? running : 0;
  return (
    <Tooltip label={label} shortcut={shortcut} side="right">
      <button
        type="button"
        aria-current={isHere ? 'page' : undefined}
        onClick={() => go({ panel })}
        className={cx(
          'relative flex min-w-0 flex-col items-center gap-0.5 rounded-lg px-0.5 py-1.5 text-2xs font-medium transition-colors max-sm:flex-1 [&_svg]:size-5 [&_svg]:stroke-[1.6]',
          isHere ? 'bg-accent-soft text-accent-ink' : 'text-muted hover:bg-hover hover:text-ink',
        )}
      >
        {icons[panel]}
        <span className="max-w-full truncate">{label}</span>
        {count === 0 ? null : (
          <span className="tnum absolute top-1 right-3 min-w-4 rounded-full bg-accent px-1 text-center leading-4 text-on-accent">
            <span className="sr-only">, </span>
            {count}
          </span>
        )}
      </button>
    </Tooltip>
  );
}
