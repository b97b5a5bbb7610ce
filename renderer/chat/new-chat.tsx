import { Boxes } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { useConversations, useModels, useSettings } from '../client/stores.ts';
import { Button, EmptyState, Spinner } from '../ui/index.ts';
import mark from '../shell/lutra.svg';
import { Welcome } from '../welcome/welcome.tsx';
import { Composer } from './composer.tsx';
import { writeDraft } from './drafts.ts';
import { ModelSelect, useChatModels } from './model-select.tsx';

/** A chat that is not there yet: the first message makes it. */
export function NewChat({ leading }: { leading: ReactNode }): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  const status = useModels((state) => state.status);
  const models = useChatModels();
  const preferredId = useSettings(({ chatModelId }) => chatModelId);
  const [chosenId, setChosenId] = useState<string | null>(null);
  const ready = models.filter((model) => model.status === 'ready');
  // A model that someone brought goes before a demo.
  const model =
    ready.find(({ id }) => id === (chosenId ?? preferredId)) ?? ready.find(({ isDemo }) => !isDemo) ?? ready[0];
  const isFirstRun = useConversations(({ status: known, items }) => known === 'ready' && items.length === 0);

  const send = async (text: string): Promise<void> => {
    const { id: conversationId } = await client.chat.create({ modelId: model?.id ?? null });
    try {
      await client.chat.send({ conversationId, text });
    } catch (thrown) {
      await client.chat.remove({ conversationId });
      throw thrown;
    }
    writeDraft(null, '');
    go({ panel: 'chat', conversationId });
  };

  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line px-3">
        {leading}
        <h1 className="min-w-0 flex-1 truncate text-sm font-semibold">{t('list.new')}</h1>
        {model === undefined ? null : <ModelSelect value={model.id} onChange={setChosenId} />}
      </header>
      {status === 'loading' ? (
        <Spinner className="m-auto text-faint" />
      ) : model === undefined ? (
        <EmptyState
          icon={<Boxes />}
          title={t('empty.noModelTitle')}
          body={models.length === 0 ? t('empty.noModelBody') : t('empty.noneReady')}
          actions={
            <Button variant="primary" onClick={() => go({ panel: 'models' })}>
              {t('empty.toModels')}
            </Button>
          }
        />
      ) : isFirstRun && model.isDemo ? (
        <div className="flex min-h-0 w-full flex-1 flex-col overflow-y-auto">
          <div className="my-auto flex flex-col items-center pb-6">
            <Welcome />
            <Composer
              conversationId={null}
              isAnswering={false}
              canSend
              takesFocus={false}
              onSend={send}
              onStop={() => undefined}
            />
          </div>
        </div>
      ) : (
        <div className="m-auto flex w-full flex-col items-center pb-[8vh]">
          <img src={mark} alt="" width={44} height={44} className="pb-3" />
          <h2 className="text-xl font-semibold tracking-tight">{t('empty.title')}</h2>
          <p className="pt-1 pb-6 text-sm text-muted">{t('empty.body')}</p>
          <Composer conversationId={null} isAnswering={false} canSend onSend={send} onStop={() => undefined} />
        </div>
      )}
    </div>
  );
}
