import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { AudioModelInfo } from '../../contract/audio.ts';
import { Field, NumberInput, Select, TextArea } from '../ui/index.ts';
import { updateDraft, useAudio } from './store.ts';

const weightTypes = ['q8', 'bf16', 'f32', 'lut4'] as const;

/** What few people change: empty fields are the model's own choice. */
export function Advanced({ info }: { info: AudioModelInfo | null }): ReactElement {
  const { t } = useTranslation();
  const draft = useAudio((state) => state.draft);
  const defaults = info?.defaults;
  const samplers: readonly string[] = info?.samplers ?? [];
  const weights = draft.weights ?? defaults?.weights ?? weightTypes[0];
  const sampler = draft.sampler !== null && samplers.includes(draft.sampler) ? draft.sampler : null;
  return (
    <details className="group">
      <summary className="cursor-default text-sm text-muted select-none hover:text-ink">{t('audio.advanced')}</summary>
      <div className="grid grid-cols-2 gap-3 pt-3">
        <Field label={t('audio.negative')} className="col-span-2">
          <TextArea
            value={draft.negativePrompt}
            onValueChange={(negativePrompt) => updateDraft({ negativePrompt })}
            minRows={1}
            maxRows={4}
          />
        </Field>
        <Field label={t('audio.steps')}>
          <NumberInput
            value={draft.steps}
            min={1}
            max={1000}
            placeholder={String(defaults?.steps ?? '')}
            onCommit={(steps) => updateDraft({ steps: steps === null ? null : Math.round(steps) })}
          />
        </Field>
        <Field label={t('audio.guidance')}>
          <NumberInput
            value={draft.guidance}
            min={0}
            max={100}
            step={0.5}
            placeholder={String(defaults?.guidance ?? '')}
            onCommit={(guidance) => updateDraft({ guidance })}
          />
        </Field>
        <Field label={t('audio.sampler')} className="col-span-2">
          <Select
            value={sampler ?? samplers[0] ?? null}
            onValueChange={(value) => updateDraft({ sampler: value })}
            options={samplers.map((name) => ({ value: name, label: name }))}
          />
        </Field>
        <Field label={t('audio.rescale')} className="col-span-2">
          <NumberInput
            value={draft.guidanceRescale}
            min={0}
            max={1}
            step={0.1}
            onCommit={(value) => updateDraft({ guidanceRescale: value ?? 0 })}
          />
        </Field>
        <Field label={t('audio.sigmaMin')}>
          <NumberInput
            value={draft.sigmaMin}
            min={0.0001}
            max={1000}
            placeholder={String(defaults?.sigmaMin ?? '')}
            onCommit={(sigmaMin) => updateDraft({ sigmaMin })}
          />
        </Field>
        <Field label={t('audio.sigmaMax')}>
          <NumberInput
            value={draft.sigmaMax}
            min={0.001}
            max={10_000}
            placeholder={String(defaults?.sigmaMax ?? '')}
            onCommit={(sigmaMax) => updateDraft({ sigmaMax })}
          />
        </Field>
        <Field label={t('audio.weights')} hint={t(`audio.weightsHint.${weights}`)} className="col-span-2">
          <Select
            value={weights}
            onValueChange={(value) => updateDraft({ weights: value })}
            options={weightTypes.map((type) => ({ value: type, label: t(`audio.weightsType.${type}`) }))}
          />
        </Field>
      </div>
    </details>
  );
}
