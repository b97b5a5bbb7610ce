import { useEffect, useSyncExternalStore } from 'react';
import { useSettings } from '../client/stores.ts';
import { setLanguage } from '../i18n/i18n.ts';

const systemDark = window.matchMedia('(prefers-color-scheme: dark)');

function subscribe(listener: () => void): () => void {
  systemDark.addEventListener('change', listener);
  return () => systemDark.removeEventListener('change', listener);
}

export function useIsDark(): boolean {
  const wanted = useSettings(({ theme }) => theme);
  const isSystemDark = useSyncExternalStore(subscribe, () => systemDark.matches);
  return wanted === 'system' ? isSystemDark : wanted === 'dark';
}

/** Keeps the page's theme and language as the settings say. */
export function useAppearance(): void {
  const isDark = useIsDark();
  const language = useSettings((settings) => settings.language);
  useEffect(() => {
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  }, [isDark]);
  useEffect(() => setLanguage(language), [language]);
}
