import { X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Conversation } from '../../contract/chat.ts';
import { defaultSampler } from '../../contract/chat.ts';
import { useStudio } from '../client/context.tsx';
import { Button, Field, IconButton, NumberInput, SamplerFields, showError, TextArea } from '../ui/index.ts';

/** What this conversation is told and how its answers are drawn. Saved as it is changed. */
export function SettingsDrawer({
  conversation,
  onClose,
}: {
  conversation: Conversation;
  onClose: () => void;
}): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const { id: conversationId, systemPrompt, sampler, contextSize } = conversation;
  const [prompt, setPrompt] = useState(systemPrompt);
  useEffect(() => setPrompt(systemPrompt), [systemPrompt]);
  const save = (patch: Omit<Parameters<typeof client.chat.update>[0], 'conversationId'>): void =>
    void client.chat.update({ conversationId, ...patch }).catch(showError);
  return (
    <aside
      aria-label={t('settings.title')}
      className="flex w-80 shrink-0 flex-col border-l border-line bg-canvas max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:z-20 max-lg:shadow-float max-sm:w-full"
    >
      <header className="flex h-12 shrink-0 items-center justify-between border-b border-line pr-2 pl-4">
        <h2 className="text-sm font-semibold">{t('settings.title')}</h2>
        <IconButton size="sm" label={t('settings.close')} icon={<X />} onClick={onClose} />
      </header>
      <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4">
        <Field label={t('settings.systemPrompt')} hint={t('settings.systemPromptHint')}>
          <TextArea
            value={prompt}
            onValueChange={setPrompt}
            onBlur={() => {
              if (prompt !== systemPrompt) save({ systemPrompt: prompt });
            }}
            minRows={3}
            maxRows={10}
          />
        </Field>
        <SamplerFields layout="column" sampler={sampler} onChange={(next) => save({ sampler: next })} />
        <Field label={t('settings.contextSize')} hint={t('settings.contextSizeHint')}>
          <NumberInput
            value={contextSize}
            min={64}
            max={10_000_000}
            step={256}
            aria-label={t('settings.contextSize')}
            onCommit={(next) => save({ contextSize: next === null ? null : Math.round(next) })}
          />
        </Field>
        <Button onClick={() => save({ sampler: defaultSampler })}>{t('settings.reset')}</Button>
      </div>
    </aside>
  );
}
