import { Dices, Lock, LockOpen, Play, Sparkles, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { AudioModelInfo } from '../../contract/audio.ts';
import type { Model } from '../../contract/models.ts';
import { useStudio } from '../client/context.tsx';
import { formatNumber, withoutTranslation } from '../i18n/format.ts';
import {
  Button,
  ErrorNotice,
  Field,
  IconButton,
  Menu,
  MenuItem,
  NumberInput,
  Select,
  showError,
  Slider,
  TextArea,
} from '../ui/index.ts';
import { Advanced } from './advanced.tsx';
import { updateDraft, useAudio } from './store.ts';
import type { Source } from './store.ts';

const seeds = 2 ** 32;
const shortestSeconds = 0.5;
const mostTakes = 8;

/** What the model can do; null until it is known. */
export function useModelInfo(modelId: string | null): AudioModelInfo | null {
  const { client } = useStudio();
  const [known, setKnown] = useState<{ modelId: string; info: AudioModelInfo } | null>(null);
  useEffect(() => {
    if (modelId === null) return;
    const abort = new AbortController();
    client.audio.describe({ modelId }, { signal: abort.signal }).then(
      (info) => {
        setKnown({ modelId, info });
        useAudio.setState({ longestSeconds: info.longestSeconds });
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) showError(thrown);
      },
    );
    return () => abort.abort();
  }, [client, modelId]);
  return known?.modelId === modelId ? known.info : null;
}

/** The prompt and its settings: simple first, the rest on demand. */
export function Controls({ models }: { models: readonly Model[] }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const chosen = useAudio(({ modelId }) => modelId);
  const draft = useAudio((state) => state.draft);
  const source = useAudio((state) => state.source);
  const isRunning = useAudio(({ run }) => run !== null);
  const [isStarting, setStarting] = useState(false);
  const modelId = models.some(({ id }) => id === chosen) ? chosen : (models[0]?.id ?? null);
  const info = useModelInfo(modelId);
  const longest = info?.longestSeconds ?? 10;
  const seconds = Math.min(draft.seconds, longest);
  const hasRegion = source !== null && source.region !== null;

  const make = async (): Promise<void> => {
    if (modelId === null || draft.prompt.trim() === '') return;
    setStarting(true);
    try {
      const from = source === null ? null : { takeId: source.takeId, region: source.region };
      await client.audio.generate({ modelId, settings: { ...draft, seconds }, source: from });
    } catch (thrown) {
      showError(thrown);
    } finally {
      setStarting(false);
    }
  };

  return (
    <form
      className="flex flex-col gap-4 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <Field label={t('audio.prompt')}>
        <TextArea
          value={draft.prompt}
          onValueChange={(prompt) => updateDraft({ prompt })}
          placeholder={t('audio.promptPlaceholder')}
          minRows={3}
          maxRows={8}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              void make();
            }
          }}
        />
      </Field>
      <div className="-mt-2 flex flex-wrap gap-1">
        <Examples isDemo={models.find(({ id }) => id === modelId)?.isDemo === true} />
        <History />
      </div>
      {source === null ? null : <SourceChip source={source} canStart={info?.canStartFromSound ?? true} />}
      {hasRegion ? null : (
        <div className="flex flex-col gap-1">
          <span className="text-sm font-medium">{t('audio.length')}</span>
          <Slider
            label={t('audio.length')}
            value={seconds}
            min={Math.min(shortestSeconds, longest)}
            max={longest}
            step={longest < 1 ? longest / 100 : 0.5}
            onValueChange={(value) => updateDraft({ seconds: value })}
            format={(value) => t('audio.seconds', { value: formatNumber(value, longest < 1 ? 3 : 1) })}
          />
        </div>
      )}
      <div className="grid grid-cols-2 gap-3">
        <Field label={t('audio.takes')}>
          <Select
            value={String(Math.min(draft.takes, mostTakes))}
            onValueChange={(value) => updateDraft({ takes: Number(value) })}
            options={Array.from({ length: mostTakes }, (_, at) => ({ value: String(at + 1), label: String(at + 1) }))}
          />
        </Field>
        <Seed />
      </div>
      <Field label={t('audio.model')}>
        <Select
          value={modelId}
          onValueChange={(value) => useAudio.setState({ modelId: value })}
          options={models.map(({ id, name }) => ({ value: id, label: name }))}
        />
      </Field>
      <Advanced info={info} />
      {info?.problem == null ? null : <ErrorNotice error={info.problem} />}
      <Button
        type="submit"
        variant="primary"
        icon={<Sparkles />}
        isBusy={isStarting}
        disabled={draft.prompt.trim() === '' || info === null || info.problem !== null}
      >
        {isRunning ? t('audio.makeNext') : t('audio.make')}
      </Button>
    </form>
  );
}

function Seed(): ReactElement {
  const { t } = useTranslation();
  const seed = useAudio(({ draft }) => draft.seed);
  const isLocked = seed !== null;
  const roll = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return (
    <Field label={t('audio.seed')}>
      <div className="flex gap-1">
        <NumberInput
          value={seed}
          min={0}
          max={seeds - 1}
          placeholder={t('audio.seedRandom')}
          onCommit={(value) => updateDraft({ seed: value })}
        />
        <IconButton
          label={isLocked ? t('audio.seedUnlock') : t('audio.seedLock')}
          icon={isLocked ? <Lock /> : <LockOpen />}
          aria-pressed={isLocked}
          onClick={() => updateDraft({ seed: isLocked ? null : roll() })}
        />
        {isLocked ? (
          <IconButton label={t('audio.seedRoll')} icon={<Dices />} onClick={() => updateDraft({ seed: roll() })} />
        ) : null}
      </div>
    </Field>
  );
}

/** What the next take starts from, and how much of it is made anew. */
function SourceChip({ source, canStart }: { source: Source; canStart: boolean }): ReactElement {
  const { t } = useTranslation();
  const strength = useAudio(({ draft }) => draft.strength);
  const region = source.region;
  return (
    <div className="flex flex-col gap-2 rounded-md border border-line bg-sunken p-3">
      <div className="flex items-center gap-2">
        <Play aria-hidden className="size-4 shrink-0 text-accent-ink" />
        <span className="min-w-0 flex-1 truncate text-sm">
          {region === null
            ? t('audio.startsFrom', { name: source.name })
            : t('audio.regionOf', {
                name: source.name,
                start: formatNumber(region.start, 1),
                end: formatNumber(region.end, 1),
              })}
        </span>
        <IconButton
          size="sm"
          label={t('audio.startFresh')}
          icon={<X />}
          onClick={() => useAudio.setState({ source: null })}
        />
      </div>
      {canStart ? null : <p className="text-xs text-danger">{t('audio.noEncoder')}</p>}
      {region === null ? (
        <Slider
          label={t('audio.strength')}
          value={strength}
          min={0}
          max={1}
          step={0.05}
          onValueChange={(value) => updateDraft({ strength: value })}
          format={(value) => `${Math.round(value * 100)} %`}
        />
      ) : null}
      <p className="text-xs text-muted">{region === null ? t('audio.strengthHint') : t('audio.regionHint')}</p>
    </div>
  );
}

const examples = ['rain', 'drums', 'bell', 'synth', 'steps', 'engine'] as const;
const demoExamples = ['arpeggio', 'flute', 'chord', 'beat', 'bass', 'siren'] as const;

/** `isDemo`: the demo model knows a few plain sounds and nothing of rain on a roof. */
function Examples({ isDemo }: { isDemo: boolean }): ReactElement {
  const { t } = useTranslation();
  const label = t('audio.examples');
  return isDemo ? (
    <PromptMenu
      label={label}
      prompts={demoExamples.map((name) => t(`audio.demoExample.${name}`))}
      textOf={withoutTranslation}
    />
  ) : (
    <PromptMenu label={label} prompts={examples.map((name) => t(`audio.example.${name}`))} />
  );
}

const longestHistory = 12;

function History(): ReactElement | null {
  const { t } = useTranslation();
  const takes = useAudio((state) => state.takes);
  const prompts = [...new Set(takes.map(({ prompt }) => prompt))].slice(0, longestHistory);
  return prompts.length === 0 ? null : <PromptMenu label={t('audio.history')} prompts={prompts} />;
}

const whole = (prompt: string): string => prompt;

/** `textOf`: what of a prompt in the menu is taken. */
function PromptMenu({
  label,
  prompts,
  textOf = whole,
}: {
  label: string;
  prompts: readonly string[];
  textOf?: (prompt: string) => string;
}): ReactElement {
  return (
    <Menu
      trigger={
        <Button size="sm" variant="ghost">
          {label}
        </Button>
      }
    >
      {prompts.map((prompt) => (
        <MenuItem key={prompt} onSelect={() => updateDraft({ prompt: textOf(prompt) })}>
          {prompt}
        </MenuItem>
      ))}
    </Menu>
  );
}
