import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Sampling } from '../../contract/sampling.ts';
import { defaultCaptionSettings } from '../../contract/caption-settings.ts';
import { Button, Field, Input, NumberInput, Select, Switch } from '../ui/index.ts';
import { wordsOf } from './words.ts';
import { updateDraft, updateSettings, useCaptions } from './store.ts';

/** What each way begins with when it is chosen. */
const beginnings: { readonly [Kind in Sampling['kind']]: Extract<Sampling, { kind: Kind }> } = {
  uniform: { kind: 'uniform', frames: 16 },
  every: { kind: 'every', seconds: 2 },
  scenes: { kind: 'scenes', framesPerScene: 4 },
};

/** What few people change. */
export function Options(): ReactElement {
  const { t } = useTranslation('caption');
  const { t: studio } = useTranslation();
  const { settings, looksFirst } = useCaptions((state) => state.draft);
  return (
    <div className="grid max-h-[40vh] grid-cols-2 gap-x-4 gap-y-3 overflow-y-auto pb-1 md:grid-cols-4">
      <Field label={t('options.prefix')} hint={t('options.prefixHint')}>
        <Input value={settings.prefix} onValueChange={(prefix) => updateSettings({ prefix })} maxLength={1000} />
      </Field>
      <Field label={t('options.suffix')} hint={t('options.suffixHint')}>
        <Input value={settings.suffix} onValueChange={(suffix) => updateSettings({ suffix })} maxLength={1000} />
      </Field>
      <Field label={t('options.avoid')} hint={t('options.avoidHint')} className="col-span-2">
        <WordsInput words={settings.avoid} onWords={(avoid) => updateSettings({ avoid })} />
      </Field>
      <SamplingFields />
      <Field label={t('options.maxTokens')} hint={t('options.maxTokensHint')}>
        <NumberInput
          value={settings.maxTokens}
          min={1}
          max={8192}
          onCommit={(value) => updateSettings({ maxTokens: Math.round(value ?? defaultCaptionSettings.maxTokens) })}
        />
      </Field>
      <Field label={t('options.temperature')} hint={t('options.temperatureHint')}>
        <NumberInput
          value={settings.temperature}
          min={0}
          max={2}
          step={0.1}
          onCommit={(value) => updateSettings({ temperature: value ?? 0 })}
        />
      </Field>
      <Field label={t('options.seed')} hint={t('options.seedHint')}>
        <NumberInput
          value={settings.seed}
          min={0}
          max={2 ** 32 - 1}
          placeholder={t('options.seedRandom')}
          onCommit={(value) => updateSettings({ seed: value === null ? null : Math.round(value) })}
        />
      </Field>
      <div className="col-span-2 flex items-start gap-3 pt-6 md:col-span-3">
        <Switch
          checked={looksFirst}
          onCheckedChange={(value) => updateDraft({ looksFirst: value })}
          aria-label={t('options.looksFirst')}
        />
        <span className="min-w-0 flex-1">
          <span className="block text-sm font-medium">{t('options.looksFirst')}</span>
          <span className="block text-xs text-muted">{t('options.looksFirstHint')}</span>
        </span>
        <Button
          size="sm"
          variant="ghost"
          onClick={() => {
            const { preset, prompt } = settings;
            updateSettings({ ...defaultCaptionSettings, preset, prompt });
          }}
        >
          {studio('common.reset')}
        </Button>
      </div>
    </div>
  );
}

function SamplingFields(): ReactElement {
  const { t } = useTranslation('caption');
  const { sampling } = useCaptions(({ draft }) => draft.settings);
  return (
    <>
      <Field label={t('options.sampling')} hint={t(`options.samplingHint.${sampling.kind}`)}>
        <Select
          value={sampling.kind}
          onValueChange={(kind) => updateSettings({ sampling: beginnings[kind] })}
          options={(['uniform', 'every', 'scenes'] as const).map((kind) => ({
            value: kind,
            label: t(`options.samplingBy.${kind}`),
          }))}
        />
      </Field>
      {sampling.kind === 'uniform' ? (
        <Field label={t('options.frames')} hint={t('options.framesHint')}>
          <NumberInput
            value={sampling.frames}
            min={1}
            max={256}
            onCommit={(value) =>
              updateSettings({
                sampling: { kind: 'uniform', frames: Math.round(value ?? beginnings.uniform.frames) },
              })
            }
          />
        </Field>
      ) : sampling.kind === 'every' ? (
        <Field label={t('options.every')} hint={t('options.everyHint')}>
          <NumberInput
            value={sampling.seconds}
            min={0.05}
            max={3600}
            step={0.5}
            onCommit={(value) =>
              updateSettings({ sampling: { kind: 'every', seconds: value ?? beginnings.every.seconds } })
            }
          />
        </Field>
      ) : (
        <Field label={t('options.perScene')} hint={t('options.perSceneHint')}>
          <NumberInput
            value={sampling.framesPerScene}
            min={1}
            max={64}
            onCommit={(value) =>
              updateSettings({
                sampling: { kind: 'scenes', framesPerScene: Math.round(value ?? beginnings.scenes.framesPerScene) },
              })
            }
          />
        </Field>
      )}
    </>
  );
}

/** Words with commas between them; taken over when the field is left. */
function WordsInput({
  words,
  onWords,
}: {
  words: readonly string[];
  onWords: (words: string[]) => void;
}): ReactElement {
  const { t } = useTranslation('caption');
  const [text, setText] = useState<string | null>(null);
  return (
    <Input
      value={text ?? words.join(', ')}
      onValueChange={(value) => {
        setText(value);
        onWords(wordsOf(value));
      }}
      onBlur={() => setText(null)}
      placeholder={t('options.avoidPlaceholder')}
    />
  );
}
