import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Sampler } from '../../contract/chat.ts';
import { Field } from './field.tsx';
import { NumberInput } from './input.tsx';
import { Slider } from './slider.tsx';

export interface SamplerFieldsProps {
  sampler: Sampler;
  /** Called when a value is settled, not while it is being moved. */
  onChange: (sampler: Sampler) => void;
  layout?: 'column' | 'row';
}

const sliders = [
  { key: 'temperature', min: 0, max: 2, step: 0.05, digits: 2 },
  { key: 'topK', min: 0, max: 200, step: 1, digits: 0 },
  { key: 'topP', min: 0, max: 1, step: 0.01, digits: 2 },
  { key: 'minP', min: 0, max: 1, step: 0.01, digits: 2 },
  { key: 'repeatPenalty', min: 1, max: 2, step: 0.01, digits: 2 },
] as const;

/** The sampler's settings, for new chats and for one chat. */
export function SamplerFields({ sampler, onChange, layout = 'row' }: SamplerFieldsProps): ReactElement {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(sampler);
  useEffect(() => setDraft(sampler), [sampler]);
  return (
    <>
      {sliders.map(({ key, min, max, step, digits }) => (
        <Field key={key} layout={layout} label={t(`settings.${key}`)} hint={t(`settings.${key}Hint`)}>
          <Slider
            label={t(`settings.${key}`)}
            value={draft[key]}
            min={min}
            max={max}
            step={step}
            format={(value) => value.toFixed(digits)}
            onValueChange={(value) => setDraft({ ...draft, [key]: value })}
            onValueCommitted={(value) => onChange({ ...draft, [key]: value })}
          />
        </Field>
      ))}
      <Field layout={layout} label={t('settings.seed')} hint={t('settings.seedHint')}>
        <NumberInput
          value={sampler.seed}
          min={0}
          max={0xffff_ffff}
          step={1}
          placeholder={t('settings.seedPlaceholder')}
          aria-label={t('settings.seed')}
          onCommit={(seed) => onChange({ ...draft, seed: seed === null ? null : Math.round(seed) })}
        />
      </Field>
      <Field layout={layout} label={t('settings.maxTokens')}>
        <NumberInput
          value={sampler.maxTokens}
          min={1}
          max={1_000_000}
          step={1}
          placeholder={t('settings.maxTokensPlaceholder')}
          aria-label={t('settings.maxTokens')}
          onCommit={(maxTokens) => onChange({ ...draft, maxTokens: maxTokens === null ? null : Math.round(maxTokens) })}
        />
      </Field>
    </>
  );
}
