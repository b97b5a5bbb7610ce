import { PanelLeftOpen, SquarePen } from 'lucide-react';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { useShortcuts } from '../shell/registry.ts';
import { IconButton, ResizablePane, showError } from '../ui/index.ts';
import { ConversationView } from './conversation-view.tsx';
import { LinkDialog } from './link-dialog.tsx';
import { ListPane } from './list-pane.tsx';
import { NewChat } from './new-chat.tsx';

const narrow = window.matchMedia('(max-width: 47.99rem)');

function subscribe(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}

export default function ChatPanel(): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const conversationId = useNavigation((place) => place.conversationId);
  const go = useNavigation((place) => place.go);
  const isNarrow = useSyncExternalStore(subscribe, () => narrow.matches);
  const [isListOpen, setListOpen] = useState(!narrow.matches);
  const [renamingId, setRenamingId] = useState<string | null>(null);
  const [isSettingsOpen, setSettingsOpen] = useState(false);
  const [jumpTo, setJumpTo] = useState<string | null>(null);
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => setListOpen(!isNarrow), [isNarrow]);
  // In a narrow window the list lies over the chat: opening one closes it.
  useEffect(() => {
    if (narrow.matches) setListOpen(false);
  }, [conversationId]);

  useShortcuts(t('shortcuts.title'), {
    '$mod+Shift+KeyF': {
      label: t('shortcuts.search'),
      run: () => {
        setListOpen(true);
        requestAnimationFrame(() => search.current?.focus());
      },
    },
  });
  const rename = (): void => {
    setListOpen(true);
    setRenamingId(conversationId);
  };
  const jump = async (target: string, messageId: string): Promise<void> => {
    await client.chat.selectBranch({ messageId }).catch(showError);
    setJumpTo(messageId);
    go({ panel: 'chat', conversationId: target });
  };
  const pane = (
    <ListPane
      renamingId={renamingId}
      onRename={setRenamingId}
      searchRef={search}
      onHide={() => setListOpen(false)}
      onJump={(target, messageId) => void jump(target, messageId)}
    />
  );
  const leading = isListOpen ? null : (
    <>
      <IconButton label={t('list.show')} icon={<PanelLeftOpen />} onClick={() => setListOpen(true)} />
      <IconButton
        label={t('list.new')}
        icon={<SquarePen />}
        onClick={() => go({ panel: 'chat', conversationId: null })}
      />
    </>
  );
  return (
    <div className="relative flex min-w-0 flex-1">
      {!isListOpen ? null : isNarrow ? (
        <div className="absolute inset-y-0 left-0 z-30 flex w-80 max-w-[85vw] bg-canvas shadow-float">{pane}</div>
      ) : (
        <ResizablePane label={t('list.pane')} storageKey="chats" defaultWidthPx={256} minWidthPx={200} maxWidthPx={420}>
          {pane}
        </ResizablePane>
      )}
      {isNarrow && isListOpen ? (
        <button
          type="button"
          aria-label={t('list.hide')}
          className="absolute inset-0 z-20 bg-scrim"
          onClick={() => setListOpen(false)}
        />
      ) : null}
      {conversationId === null ? (
        <NewChat leading={leading} />
      ) : (
        <ConversationView
          key={conversationId}
          conversationId={conversationId}
          leading={leading}
          isSettingsOpen={isSettingsOpen}
          onSettings={setSettingsOpen}
          onRename={rename}
          jumpTo={jumpTo}
        />
      )}
      <LinkDialog />
    </div>
  );
}
