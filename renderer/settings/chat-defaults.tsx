import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { defaultSampler } from '../../contract/chat.ts';
import { useUpdateSettings } from '../client/actions.ts';
import { useModels, useSettings } from '../client/stores.ts';
import { Button, Field, keyNames, SamplerFields, Select, TextArea } from '../ui/index.ts';
import { Group } from './group.tsx';

const noModel = 'none';

export function ChatDefaults(): ReactElement {
  const { t } = useTranslation();
  const { chatModelId, systemPrompt, sendWith, sampler } = useSettings();
  const update = useUpdateSettings();
  const all = useModels(({ items }) => items);
  const models = all.filter(({ capabilities }) => capabilities.includes('chat'));
  const [prompt, setPrompt] = useState(systemPrompt);
  useEffect(() => setPrompt(systemPrompt), [systemPrompt]);
  return (
    <>
      <Group>
        <Field layout="row" label={t('settings.defaultModel')}>
          <Select
            value={chatModelId ?? noModel}
            onValueChange={(id) => update({ chatModelId: id === noModel ? null : id })}
            options={[
              { value: noModel, label: t('settings.defaultModelNone') },
              ...models.map(({ id, name, status }) => ({ value: id, label: name, disabled: status !== 'ready' })),
            ]}
          />
        </Field>
        <Field layout="row" label={t('settings.sendWith')} hint={t('settings.sendWithHint')}>
          <Select
            value={sendWith}
            onValueChange={(next) => update({ sendWith: next })}
            options={(['enter', 'mod-enter'] as const).map((value) => ({
              value,
              label: t(`settings.sendKeys.${value}`, { mod: keyNames('$mod').join('') }),
            }))}
          />
        </Field>
        <Field label={t('settings.systemPrompt')} hint={t('settings.systemPromptHint')} className="py-3">
          <TextArea
            value={prompt}
            onValueChange={setPrompt}
            onBlur={() => {
              if (prompt !== systemPrompt) update({ systemPrompt: prompt });
            }}
            minRows={3}
          />
        </Field>
      </Group>
      <Group heading={t('settings.sampler')}>
        <p className="py-2 text-xs text-muted">{t('settings.samplerHint')}</p>
        <SamplerFields sampler={sampler} onChange={(next) => update({ sampler: next })} />
      </Group>
      <Button onClick={() => update({ sampler: defaultSampler })}>{t('settings.resetSampler')}</Button>
    </>
  );
}
