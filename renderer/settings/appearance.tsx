import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useUpdateSettings } from '../client/actions.ts';
import { useSettings } from '../client/stores.ts';
import { Field, Select } from '../ui/index.ts';
import { Group } from './group.tsx';

export function Appearance(): ReactElement {
  const { t } = useTranslation();
  const { theme, language } = useSettings();
  const update = useUpdateSettings();
  return (
    <Group>
      <Field layout="row" label={t('settings.theme')}>
        <Select
          value={theme}
          onValueChange={(next) => update({ theme: next })}
          options={(['system', 'light', 'dark'] as const).map((value) => ({
            value,
            label: t(`settings.themes.${value}`),
          }))}
        />
      </Field>
      <Field layout="row" label={t('settings.language')}>
        <Select
          value={language}
          onValueChange={(next) => update({ language: next })}
          options={[
            { value: 'system', label: t('settings.languages.system') },
            { value: 'en', label: 'English' },
            { value: 'zh-CN', label: '简体中文' },
          ]}
        />
      </Field>
    </Group>
  );
}
