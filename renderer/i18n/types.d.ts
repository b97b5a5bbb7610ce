import 'i18next';
import type { strings } from '../chat/strings.en.ts';
import type { en } from './en.ts';

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'studio';
    resources: { studio: typeof en; chat: typeof strings };
    returnNull: false;
  }
}
