import type { SameShape } from '../i18n/shape.ts';
import type { strings as english } from './strings.en.ts';

export const strings: SameShape<typeof english> = {
  title: '聊天',
};
