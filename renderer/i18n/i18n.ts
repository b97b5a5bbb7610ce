import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import { strings as captionEn } from '../caption/strings.en.ts';
import { strings as captionZh } from '../caption/strings.zh-CN.ts';
import { strings as chatEn } from '../chat/strings.en.ts';
import { strings as chatZh } from '../chat/strings.zh-CN.ts';
import { strings as welcomeEn } from '../welcome/strings.en.ts';
import { strings as welcomeZh } from '../welcome/strings.zh-CN.ts';
import { en } from './en.ts';
import { zhCN } from './zh-CN.ts';

export const languages = ['en', 'zh-CN'] as const;
export type Language = (typeof languages)[number];

export const i18n = i18next.createInstance();

void i18n.use(initReactI18next).init({
  lng: 'en',
  fallbackLng: 'en',
  supportedLngs: [...languages],
  defaultNS: 'studio',
  ns: ['studio', 'caption', 'chat', 'welcome'],
  resources: {
    en: { studio: en, caption: captionEn, chat: chatEn, welcome: welcomeEn },
    'zh-CN': { studio: zhCN, caption: captionZh, chat: chatZh, welcome: welcomeZh },
  },
  // React escapes what it shows.
  interpolation: { escapeValue: false },
  initAsync: false,
  returnNull: false,
  returnEmptyString: true,
});

/** `system` follows the browser: any Chinese is shown as Simplified Chinese, everything else as English. */
export function resolveLanguage(wanted: 'system' | Language, system: readonly string[]): Language {
  if (wanted !== 'system') return wanted;
  return /^zh\b/iu.test(system[0] ?? '') ? 'zh-CN' : 'en';
}

/** Changes the language of the page, and tells it to assistive technology. */
export function setLanguage(wanted: 'system' | Language): void {
  const language = resolveLanguage(wanted, navigator.languages);
  document.documentElement.lang = language;
  if (i18n.language !== language) void i18n.changeLanguage(language);
}
