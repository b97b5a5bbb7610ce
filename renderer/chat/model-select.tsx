import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Model } from '../../contract/models.ts';
import { useModels } from '../client/stores.ts';
import { formatBytes } from '../i18n/format.ts';
import { cx, Select } from '../ui/index.ts';

export function useChatModels(): readonly Model[] {
  const models = useModels(({ items }) => items);
  return models.filter(({ capabilities }) => capabilities.includes('chat'));
}

export interface ModelSelectProps {
  value: string | null;
  onChange: (modelId: string) => void;
  disabled?: boolean;
  className?: string;
}

export function ModelSelect({ value, onChange, disabled = false, className }: ModelSelectProps): ReactElement {
  const { t } = useTranslation('chat');
  const models = useChatModels();
  return (
    <Select
      aria-label={t('header.model')}
      className={cx('w-52', className)}
      value={models.some(({ id }) => id === value) ? value : null}
      onValueChange={onChange}
      disabled={disabled || models.length === 0}
      placeholder={t('header.noModel')}
      options={models.map((model) => ({
        value: model.id,
        label: model.name,
        hint:
          model.problem?.message ??
          [model.quantization, formatBytes(model.sizeBytes)].filter((part) => part !== null).join(' · '),
        disabled: model.status !== 'ready',
      }))}
    />
  );
}
