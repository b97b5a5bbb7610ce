import { useCallback, useEffect, useRef, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { SlidersHorizontal } from 'lucide-react';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { usePaletteActions, useShortcuts } from '../shell/registry.ts';
import { formatNumber } from '../i18n/format.ts';
import { ErrorNotice, IconButton, showError, showToast, Spinner } from '../ui/index.ts';
import { Composer } from './composer.tsx';
import { ContextMeter } from './context-meter.tsx';
import type { Measure } from './context-meter.tsx';
import { ConversationStoreProvider, useConversationState, useWatchedConversation } from './conversation-store.ts';
import { Messages } from './messages.tsx';
import { ModelSelect } from './model-select.tsx';
import { SettingsDrawer } from './settings-drawer.tsx';

export interface ConversationViewProps {
  conversationId: string;
  /** Buttons before the title. */
  leading: ReactNode;
  isSettingsOpen: boolean;
  onSettings: (open: boolean) => void;
  onRename: () => void;
  /** A message to show. */
  jumpTo: string | null;
}

/** Mount anew (with a key) for another conversation. */
export function ConversationView(props: ConversationViewProps): ReactElement {
  const store = useWatchedConversation(props.conversationId);
  return (
    <ConversationStoreProvider value={store}>
      <Watched {...props} />
    </ConversationStoreProvider>
  );
}

const measureDelayMs = 400;

/** Tokens of the conversation and the draft; asked again when either changed and the person pauses. */
function useMeasure(conversationId: string, draft: string, version: unknown): Measure | null {
  const { client } = useStudio();
  const [measure, setMeasure] = useState<Measure | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      client.chat.measure({ conversationId, draft }, { signal: abort.signal }).then(setMeasure, () => undefined);
    }, measureDelayMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [client, conversationId, draft, version]);
  return measure;
}

function Watched({
  conversationId,
  leading,
  isSettingsOpen,
  onSettings,
  onRename,
  jumpTo,
}: ConversationViewProps): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  const conversation = useConversationState((state) => state.conversation);
  const path = useConversationState((state) => state.path);
  const isGone = useConversationState((state) => state.isGone);
  const error = useConversationState((state) => state.error);
  const [draft, setDraft] = useState('');
  const input = useRef<HTMLTextAreaElement>(null);
  const measure = useMeasure(conversationId, draft, path);
  const isAnswering = conversation?.isAnswering ?? false;

  useEffect(() => {
    if (isGone) go({ conversationId: null });
  }, [isGone, go]);

  const stop = useCallback(() => void client.chat.stop({ conversationId }).catch(showError), [client, conversationId]);
  const lastAnswer = path.findLast((message) => message.role === 'assistant' && message.text !== '');
  const copyLast = (): void => {
    if (lastAnswer === undefined) return;
    navigator.clipboard
      .writeText(lastAnswer.text)
      .then(() => showToast({ title: t('message.copied'), timeoutMs: 2000 }), showError);
  };
  const regenerate = (): void => {
    const last = path.at(-1);
    if (last !== undefined && !isAnswering) void client.chat.regenerate({ messageId: last.id }).catch(showError);
  };
  const switchVersion = (step: 1 | -1): void => {
    const branching = path.findLast(({ siblingIds }) => siblingIds.length > 1);
    if (branching === undefined || isAnswering) return;
    const messageId = branching.siblingIds[branching.siblingIds.indexOf(branching.id) + step];
    if (messageId !== undefined) void client.chat.selectBranch({ messageId }).catch(showError);
  };
  useShortcuts(t('shortcuts.title'), {
    '$mod+Shift+KeyC': { label: t('shortcuts.copyLast'), run: copyLast },
    '$mod+Shift+KeyR': { label: t('shortcuts.regenerate'), run: regenerate },
    'Alt+ArrowLeft': { label: t('shortcuts.previousVersion'), run: () => switchVersion(-1) },
    'Alt+ArrowRight': { label: t('shortcuts.nextVersion'), run: () => switchVersion(1) },
    F2: { label: t('shortcuts.rename'), run: onRename },
    Escape: {
      label: t('shortcuts.stop'),
      run: () => {
        if (isAnswering) stop();
      },
    },
  });
  usePaletteActions([
    { id: 'chat.regenerate', label: t('shortcuts.regenerate'), run: regenerate },
    { id: 'chat.copy', label: t('shortcuts.copyLast'), shortcut: '$mod+Shift+KeyC', run: copyLast },
    { id: 'chat.rename', label: t('shortcuts.rename'), shortcut: 'F2', run: onRename },
    { id: 'chat.settings', label: t('shortcuts.settings'), run: () => onSettings(!isSettingsOpen) },
  ]);

  if (conversation === null) {
    return (
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line px-3">{leading}</header>
        <div className="m-auto max-w-lg p-6">
          {error === null ? <Spinner className="text-faint" /> : <ErrorNotice error={error} />}
        </div>
      </div>
    );
  }
  const hint =
    draft === '' || measure === null
      ? undefined
      : t(measure.isExact ? 'composer.tokens' : 'composer.tokensEstimate', { tokens: formatNumber(measure.tokens, 0) });
  return (
    <div className="relative flex min-w-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line px-3">
          {leading}
          <h1 className="min-w-0 flex-1 truncate text-sm font-semibold" title={conversation.title}>
            {conversation.title === '' ? t('list.untitled') : conversation.title}
          </h1>
          <ContextMeter measure={measure} />
          <ModelSelect
            className="max-sm:w-36"
            value={conversation.modelId}
            disabled={isAnswering}
            onChange={(modelId) => void client.chat.update({ conversationId, modelId }).catch(showError)}
          />
          <IconButton
            label={t('header.settings')}
            icon={<SlidersHorizontal />}
            aria-expanded={isSettingsOpen}
            onClick={() => onSettings(!isSettingsOpen)}
          />
        </header>
        {error === null ? null : <ErrorNotice error={error} className="m-3" />}
        <Messages jumpTo={jumpTo} />
        <Composer
          conversationId={conversationId}
          isAnswering={isAnswering}
          canSend
          inputRef={input}
          onDraft={setDraft}
          onStop={stop}
          hint={hint}
          onSend={async (text) => {
            await client.chat.send({ conversationId, text });
          }}
        />
      </div>
      {isSettingsOpen ? <SettingsDrawer conversation={conversation} onClose={() => onSettings(false)} /> : null}
    </div>
  );
}
