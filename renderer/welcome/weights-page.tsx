import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigation } from '../client/navigation.ts';
import { formatBytes } from '../i18n/format.ts';
import { Button, PanelHeader } from '../ui/index.ts';

interface Weights {
  /** As its publisher names it; of a GGUF the file. */
  readonly name: string;
  readonly gigabytes: number;
  readonly memoryGigabytes: number;
}

const chat: readonly Weights[] = [
  { name: 'Llama-3.2-1B-Instruct-Q4_K_M.gguf', gigabytes: 0.8, memoryGigabytes: 2 },
  { name: 'Llama-3.2-3B-Instruct-Q4_K_M.gguf', gigabytes: 2, memoryGigabytes: 4 },
  { name: 'Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf', gigabytes: 4.9, memoryGigabytes: 7 },
  { name: 'unsloth/Llama-3.2-1B-Instruct-bnb-4bit', gigabytes: 1, memoryGigabytes: 2 },
  { name: 'unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit', gigabytes: 5.7, memoryGigabytes: 7 },
];
const caption: readonly Weights[] = [
  { name: 'unsloth/Llama-3.2-11B-Vision-Instruct-bnb-4bit', gigabytes: 7, memoryGigabytes: 10 },
  { name: 'mPLUG/mPLUG-Owl3-2B-241014', gigabytes: 4, memoryGigabytes: 5 },
];
const audio: readonly Weights[] = [
  { name: 'stabilityai/stable-audio-open-small', gigabytes: 1.4, memoryGigabytes: 2 },
  { name: 'stabilityai/stable-audio-open-1.0', gigabytes: 4.9, memoryGigabytes: 4 },
];

/** Which weights load, how large they are, and where to put them. */
export default function WeightsPage(): ReactElement {
  const { t } = useTranslation();
  const { t: w } = useTranslation('welcome');
  const go = useNavigation((place) => place.go);
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader title={t('panels.weights')} />
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="group" aria-label={w('weights.title')}>
        <div className="mx-auto flex max-w-2xl flex-col gap-4 px-4 py-6 text-sm text-pretty">
          <h2 className="text-xl font-semibold tracking-tight">{w('weights.title')}</h2>
          <p>{w('weights.intro')}</p>
          <Listing heading={w('weights.chat')} weights={chat} note={w('weights.formats')} />
          <Listing heading={w('weights.caption')} weights={caption} note={w('weights.captionNote')} />
          <Listing heading={w('weights.audio')} weights={audio} note={w('weights.audioNote')} />
          <p className="text-xs text-muted">{w('weights.sizes')}</p>
          <h3 className="text-base font-semibold">{w('weights.where')}</h3>
          <p>{w('weights.whereBody')}</p>
          <Button className="self-start" variant="primary" onClick={() => go({ panel: 'models' })}>
            {w('weights.action')}
          </Button>
        </div>
      </div>
    </div>
  );
}

const bytesPerGigabyte = 2 ** 30;

function Listing({
  heading,
  weights,
  note,
}: {
  heading: string;
  weights: readonly Weights[];
  note: string;
}): ReactElement {
  const { t } = useTranslation('welcome');
  const size = (gigabytes: number): string => formatBytes(gigabytes * bytesPerGigabyte);
  return (
    <section aria-label={heading} className="flex flex-col gap-2">
      <h3 className="text-base font-semibold">{heading}</h3>
      <table className="w-full border-collapse">
        <thead>
          <tr className="border-b border-line text-left text-xs text-muted">
            <th className="py-1 font-medium">{t('weights.column.model')}</th>
            <th className="w-24 py-1 text-right font-medium">{t('weights.column.size')}</th>
            <th className="w-20 py-1 text-right font-medium">{t('weights.column.memory')}</th>
          </tr>
        </thead>
        <tbody>
          {weights.map(({ name, gigabytes, memoryGigabytes }) => (
            <tr key={name} className="border-b border-line">
              <td className="py-1.5 pr-3 font-mono text-xs wrap-anywhere">{name}</td>
              <td className="tnum py-1.5 text-right text-muted">{size(gigabytes)}</td>
              <td className="tnum py-1.5 text-right text-muted">{size(memoryGigabytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="text-muted">{note}</p>
    </section>
  );
}
