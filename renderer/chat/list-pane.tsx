import { Ellipsis, PanelLeftClose, Search, SquarePen, Upload, Download, Pencil, Trash2, X } from 'lucide-react';
import { useRef, useState } from 'react';
import type { ReactElement, RefObject } from 'react';
import { useTranslation } from 'react-i18next';
import { Virtuoso } from 'react-virtuoso';
import type { Conversation } from '../../contract/chat.ts';
import { useStudio } from '../client/context.tsx';
import { useIntake } from '../client/intake.ts';
import { useNavigation } from '../client/navigation.ts';
import { useConversations } from '../client/stores.ts';
import { cx, IconButton, Input, Menu, MenuItem, MenuSeparator, showError, showToast, Spinner } from '../ui/index.ts';
import { SearchResults } from './search-results.tsx';
import { useExport } from './transfer.ts';

export interface ListPaneProps {
  renamingId: string | null;
  onRename: (id: string | null) => void;
  searchRef: RefObject<HTMLInputElement | null>;
  onHide: () => void;
  /** A message that was found: its conversation is opened there. */
  onJump: (conversationId: string, messageId: string) => void;
}

export function ListPane({ renamingId, onRename, searchRef, onHide, onJump }: ListPaneProps): ReactElement {
  const { t } = useTranslation('chat');
  const { items, status } = useConversations();
  const go = useNavigation((place) => place.go);
  const { takeFiles } = useIntake();
  const exportChats = useExport();
  const [query, setQuery] = useState('');
  const file = useRef<HTMLInputElement>(null);
  const isSearching = query.trim() !== '';
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-sunken">
      <div className="flex h-12 shrink-0 items-center gap-1 pr-1.5 pl-3">
        <h2 className="min-w-0 flex-1 truncate text-sm font-semibold">{t('list.title')}</h2>
        <Menu align="end" trigger={<IconButton size="sm" label={t('list.more')} icon={<Ellipsis />} />}>
          <MenuItem icon={<Download />} onSelect={() => exportChats(null, 'markdown')} disabled={items.length === 0}>
            {t('list.exportAllMarkdown')}
          </MenuItem>
          <MenuItem icon={<Download />} onSelect={() => exportChats(null, 'json')} disabled={items.length === 0}>
            {t('list.exportAllJson')}
          </MenuItem>
          <MenuSeparator />
          <MenuItem icon={<Upload />} onSelect={() => file.current?.click()}>
            {t('list.import')}
          </MenuItem>
        </Menu>
        <IconButton size="sm" label={t('list.hide')} icon={<PanelLeftClose />} onClick={onHide} />
        <IconButton
          size="sm"
          label={t('list.new')}
          shortcut="$mod+Alt+KeyN"
          icon={<SquarePen />}
          onClick={() => go({ panel: 'chat', conversationId: null })}
        />
        <input
          ref={file}
          type="file"
          accept=".json,application/json"
          hidden
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            void takeFiles(files);
          }}
        />
      </div>
      <div className="relative px-2 pb-2">
        <Input
          ref={searchRef}
          icon={<Search />}
          value={query}
          onValueChange={setQuery}
          placeholder={t('list.search')}
          aria-label={t('list.search')}
          className="pr-8"
          onKeyDown={(event) => {
            if (event.key === 'Escape') setQuery('');
          }}
        />
        {isSearching ? (
          <span className="absolute top-0.5 right-2.5">
            <IconButton size="sm" label={t('list.clearSearch')} icon={<X />} onClick={() => setQuery('')} />
          </span>
        ) : null}
      </div>
      {isSearching ? (
        <SearchResults query={query.trim()} onJump={onJump} />
      ) : items.length === 0 ? (
        <p className="px-4 py-6 text-center text-xs text-muted">
          {status === 'loading' ? <Spinner className="mx-auto" /> : t('list.empty')}
        </p>
      ) : (
        <Virtuoso
          className="min-h-0 flex-1"
          data={items}
          computeItemKey={(_at, conversation) => conversation.id}
          itemContent={(_at, conversation) => (
            <ListItem conversation={conversation} isRenaming={renamingId === conversation.id} onRename={onRename} />
          )}
        />
      )}
    </div>
  );
}

interface ListItemProps {
  conversation: Conversation;
  isRenaming: boolean;
  onRename: (id: string | null) => void;
}

function ListItem({ conversation, isRenaming, onRename }: ListItemProps): ReactElement {
  const { t } = useTranslation('chat');
  const { id } = conversation;
  const isHere = useNavigation((place) => place.conversationId === id);
  const go = useNavigation((place) => place.go);
  const title = conversation.title === '' ? t('list.untitled') : conversation.title;
  return (
    <div className={cx('group mx-2 flex h-9 items-center rounded-md', isHere ? 'bg-pressed' : 'hover:bg-hover')}>
      {isRenaming ? (
        <RenameField conversation={conversation} onClose={() => onRename(null)} />
      ) : (
        <button
          type="button"
          aria-current={isHere ? 'true' : undefined}
          title={title}
          onClick={() => go({ panel: 'chat', conversationId: id })}
          onDoubleClick={() => onRename(id)}
          className="flex h-full min-w-0 flex-1 items-center gap-2 rounded-md pl-2.5 text-left"
        >
          <span className="min-w-0 flex-1 truncate">{title}</span>
          {conversation.isAnswering ? (
            <>
              <Spinner className="size-3.5 text-accent-ink" />
              <span className="sr-only">{t('list.answering')}</span>
            </>
          ) : null}
        </button>
      )}
      {isRenaming ? null : <ItemMenu conversation={conversation} title={title} onRename={onRename} />}
    </div>
  );
}

function ItemMenu({
  conversation,
  title,
  onRename,
}: {
  conversation: Conversation;
  title: string;
  onRename: (id: string) => void;
}): ReactElement {
  const { t } = useTranslation(['chat', 'studio']);
  const { client } = useStudio();
  const exportChats = useExport();
  const { id: conversationId } = conversation;
  const isHere = useNavigation((place) => place.conversationId === conversationId);
  const go = useNavigation((place) => place.go);
  const remove = async (): Promise<void> => {
    await client.chat.remove({ conversationId });
    if (isHere) go({ conversationId: null });
    showToast({
      title: t('list.removed', { title }),
      action: {
        label: t('studio:common.undo'),
        onSelect: () => void client.chat.restore({ conversationId }).catch(showError),
      },
    });
  };
  return (
    <span className="mr-1 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 has-data-popup-open:opacity-100 pointer-coarse:opacity-100">
      <Menu align="end" trigger={<IconButton size="sm" label={t('list.actionsFor', { title })} icon={<Ellipsis />} />}>
        <MenuItem icon={<Pencil />} shortcut="F2" onSelect={() => onRename(conversationId)}>
          {t('list.rename')}
        </MenuItem>
        <MenuItem icon={<Download />} onSelect={() => exportChats(conversationId, 'markdown')}>
          {t('list.exportMarkdown')}
        </MenuItem>
        <MenuItem icon={<Download />} onSelect={() => exportChats(conversationId, 'json')}>
          {t('list.exportJson')}
        </MenuItem>
        <MenuSeparator />
        <MenuItem icon={<Trash2 />} danger onSelect={() => void remove().catch(showError)}>
          {t('list.remove')}
        </MenuItem>
      </Menu>
    </span>
  );
}

const longestTitle = 200;

function RenameField({ conversation, onClose }: { conversation: Conversation; onClose: () => void }): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const [title, setTitle] = useState(conversation.title);
  const isOver = useRef(false);
  const finish = (isKept: boolean): void => {
    if (isOver.current) return;
    isOver.current = true;
    onClose();
    const wanted = title.trim();
    if (!isKept || wanted === '' || wanted === conversation.title) return;
    void client.chat.update({ conversationId: conversation.id, title: wanted }).catch(showError);
  };
  return (
    <Input
      autoFocus
      value={title}
      onValueChange={setTitle}
      maxLength={longestTitle}
      aria-label={t('list.renameLabel')}
      onFocus={(event) => event.currentTarget.select()}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === 'Enter') finish(true);
        if (event.key === 'Escape') finish(false);
      }}
    />
  );
}
