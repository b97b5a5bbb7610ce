import 'i18next';
import type { strings as captionStrings } from '../caption/strings.en.ts';
import type { strings } from '../chat/strings.en.ts';
import type { strings as welcome } from '../welcome/strings.en.ts';
import type { en } from './en.ts';

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'studio';
    resources: { studio: typeof en; caption: typeof captionStrings; chat: typeof strings; welcome: typeof welcome };
    returnNull: false;
  }
}
