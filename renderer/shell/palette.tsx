import { Dialog } from '@base-ui/react/dialog';
import { Command } from 'cmdk';
import { useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useUpdateSettings } from '../client/actions.ts';
import { useStudio } from '../client/context.tsx';
import { panels, useNavigation } from '../client/navigation.ts';
import { useConversations, useModels } from '../client/stores.ts';
import { Kbd, showError, showToast } from '../ui/index.ts';
import { useIsDark } from './appearance.ts';
import { useRegistry } from './registry.ts';
import type { PaletteAction } from './registry.ts';

/** More would not be read. */
const shownConversations = 40;

export interface PaletteProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onHelp: () => void;
}

export function Palette({ open, onOpenChange, onHelp }: PaletteProps): ReactElement {
  const { t } = useTranslation();
  return (
    <Dialog.Root open={open} onOpenChange={(next) => onOpenChange(next)}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-scrim" />
        <Dialog.Popup className="fixed top-[12vh] left-1/2 z-40 flex max-h-[70vh] w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 flex-col overflow-hidden rounded-xl bg-surface shadow-float outline-none">
          <Dialog.Title className="sr-only">{t('palette.title')}</Dialog.Title>
          <PaletteContent close={() => onOpenChange(false)} onHelp={onHelp} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function PaletteContent({ close, onHelp }: { close: () => void; onHelp: () => void }): ReactElement {
  const { t } = useTranslation();
  const go = useNavigation((place) => place.go);
  const [search, setSearch] = useState('');
  const registered = useRegistry(({ actions }) => actions);
  const shellActions = useShellActions(onHelp);
  const conversations = useConversations(({ items }) => items);
  const models = useModels(({ items }) => items);
  const updateSettings = useUpdateSettings();
  const isSearching = search.trim() !== '';
  const choose = (run: () => void) => () => {
    close();
    run();
  };
  return (
    <Command label={t('palette.title')} loop className="flex min-h-0 flex-col">
      <Command.Input
        value={search}
        onValueChange={setSearch}
        placeholder={t('palette.placeholder')}
        className="h-12 w-full shrink-0 border-b border-line bg-transparent px-4 text-base outline-none"
      />
      <Command.List className="min-h-0 overflow-y-auto p-2">
        <Command.Empty className="px-3 py-6 text-center text-muted">{t('palette.empty')}</Command.Empty>
        <Group heading={t('palette.go')}>
          {panels.map((panel, at) => (
            <Item
              key={panel}
              value={`panel ${t(`panels.${panel}`)}`}
              onSelect={choose(() => go({ panel }))}
              keys={`$mod+Digit${at + 1}`}
            >
              {t(`panels.${panel}`)}
            </Item>
          ))}
        </Group>
        <Group heading={t('palette.actions')}>
          {[...[...registered.values()].flat(), ...shellActions].map((action) => (
            <Item
              key={action.id}
              value={`${action.id} ${action.label} ${action.keywords?.join(' ') ?? ''}`}
              onSelect={choose(action.run)}
              keys={action.shortcut}
            >
              {action.label}
            </Item>
          ))}
        </Group>
        {isSearching ? (
          <>
            <Group heading={t('palette.models')}>
              {models
                .filter(({ status, capabilities }) => status === 'ready' && capabilities.includes('chat'))
                .map(({ id, name }) => (
                  <Item
                    key={id}
                    value={`model ${id} ${name}`}
                    onSelect={choose(() => {
                      updateSettings({ chatModelId: id });
                      go({ panel: 'chat', conversationId: null });
                    })}
                  >
                    {name}
                  </Item>
                ))}
            </Group>
            <Group heading={t('palette.conversations')}>
              {conversations.slice(0, shownConversations).map(({ id, title }) => (
                <Item
                  key={id}
                  value={`conversation ${id} ${title}`}
                  onSelect={choose(() => go({ panel: 'chat', conversationId: id }))}
                >
                  {title}
                </Item>
              ))}
            </Group>
          </>
        ) : null}
      </Command.List>
    </Command>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }): ReactElement {
  return (
    <Command.Group
      heading={heading}
      className="pb-1 [&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:py-1 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:font-medium [&_[cmdk-group-heading]]:text-faint"
    >
      {children}
    </Command.Group>
  );
}

interface ItemProps {
  value: string;
  onSelect: () => void;
  keys?: string | undefined;
  children: ReactNode;
}

function Item({ value, onSelect, keys, children }: ItemProps): ReactElement {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex min-h-8 cursor-default items-center gap-3 rounded-md px-3 py-1 data-[selected=true]:bg-hover"
    >
      <span className="min-w-0 flex-1 truncate">{children}</span>
      {keys === undefined ? null : <Kbd keys={keys} />}
    </Command.Item>
  );
}

/** What can be done from anywhere. */
function useShellActions(onHelp: () => void): PaletteAction[] {
  const { t, i18n } = useTranslation();
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  const updateSettings = useUpdateSettings();
  const isDark = useIsDark();
  const ask = (work: () => Promise<unknown>) => () => void work().catch(showError);
  return [
    {
      id: 'shell.new-chat',
      label: t('palette.newChat'),
      shortcut: '$mod+Alt+KeyN',
      run: () => go({ panel: 'chat', conversationId: null }),
    },
    {
      id: 'shell.add-model',
      label: t('palette.addModel'),
      keywords: ['gguf', 'import'],
      run: () => go({ panel: 'models' }),
    },
    { id: 'shell.welcome', label: t('panels.welcome'), keywords: ['demo'], run: () => go({ panel: 'welcome' }) },
    {
      id: 'shell.weights',
      label: t('models.where'),
      keywords: ['weights', 'download'],
      run: () => go({ panel: 'weights' }),
    },
    {
      id: 'shell.theme',
      label: t('palette.toggleTheme'),
      keywords: ['dark', 'light'],
      run: () => updateSettings({ theme: isDark ? 'light' : 'dark' }),
    },
    {
      id: 'shell.language',
      label: t('palette.switchLanguage'),
      keywords: ['language', '语言', 'English', '中文'],
      run: () => updateSettings({ language: i18n.resolvedLanguage === 'en' ? 'zh-CN' : 'en' }),
    },
    { id: 'shell.unload', label: t('palette.unloadModel'), run: ask(() => client.engine.unload({})) },
    { id: 'shell.restart', label: t('palette.restartEngine'), run: ask(() => client.engine.restart({})) },
    {
      id: 'shell.refresh',
      label: t('palette.refreshModels'),
      run: ask(() => client.models.refresh({ modelId: null })),
    },
    {
      id: 'shell.backup',
      label: t('palette.backup'),
      run: ask(async () => {
        const { name } = await client.app.backupNow({});
        showToast({ title: t('settings.backedUp', { name }) });
      }),
    },
    { id: 'shell.help', label: t('palette.shortcuts'), shortcut: 'Shift+Slash', run: onHelp },
  ];
}
