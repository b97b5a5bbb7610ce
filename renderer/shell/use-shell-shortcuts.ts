import { useTranslation } from 'react-i18next';
import { panels, useNavigation } from '../client/navigation.ts';
import { useShortcuts } from './registry.ts';
import type { Shortcut } from './registry.ts';

/** The keys that work in every panel. */
export function useShellShortcuts({ openPalette, openHelp }: { openPalette: () => void; openHelp: () => void }): void {
  const { t } = useTranslation();
  const go = useNavigation((place) => place.go);
  const toPanels = Object.fromEntries(
    panels.map((panel, at): [string, Shortcut] => [
      `$mod+Digit${at + 1}`,
      { label: t(`panels.${panel}`), run: () => go({ panel }) },
    ]),
  );
  useShortcuts(t('shortcuts.general'), {
    '$mod+KeyK': { label: t('shortcuts.palette'), run: openPalette, isGlobal: true },
    ...toPanels,
    '$mod+Alt+KeyN': { label: t('shortcuts.newChat'), run: () => go({ panel: 'chat', conversationId: null }) },
    '$mod+Comma': { label: t('shortcuts.settings'), run: () => go({ panel: 'settings' }) },
    'Shift+Slash': { label: t('shortcuts.help'), run: openHelp },
  });
}
