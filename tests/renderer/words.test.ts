import { afterEach, describe, expect, test } from 'vitest';
import { strings as captionEn } from '../../renderer/caption/strings.en.ts';
import { strings as captionZh } from '../../renderer/caption/strings.zh-CN.ts';
import { strings as chatEn } from '../../renderer/chat/strings.en.ts';
import { strings as chatZh } from '../../renderer/chat/strings.zh-CN.ts';
import { strings as welcomeEn } from '../../renderer/welcome/strings.en.ts';
import { strings as welcomeZh } from '../../renderer/welcome/strings.zh-CN.ts';
import { en } from '../../renderer/i18n/en.ts';
import { errorText } from '../../renderer/i18n/errors.ts';
import { formatBytes, formatSpeed, formatTimeLeft } from '../../renderer/i18n/format.ts';
import { i18n, resolveLanguage } from '../../renderer/i18n/i18n.ts';
import { zhCN } from '../../renderer/i18n/zh-CN.ts';

afterEach(() => i18n.changeLanguage('en'));

type Strings = { readonly [key: string]: string | Strings };

function flat(strings: Strings, prefix = ''): [string, string][] {
  return Object.entries(strings).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[prefix + key, value]] : flat(value, `${prefix}${key}.`),
  );
}

const placeholders = (text: string): string[] => (text.match(/\{\{\w+\}\}/g) ?? []).toSorted();

describe('the words', () => {
  test.each([
    ['studio', en, zhCN],
    ['caption', captionEn, captionZh],
    ['chat', chatEn, chatZh],
    ['welcome', welcomeEn, welcomeZh],
  ] as const)('of %s fill in the same places in both languages', (_name, english, chinese) => {
    const other = new Map(flat(chinese));
    for (const [key, text] of flat(english)) {
      if (key.endsWith('_one')) continue;
      expect([key, placeholders(other.get(key) ?? '')]).toEqual([key, placeholders(text)]);
    }
  });

  test('of Chinese are Chinese', () => {
    const latin = flat(zhCN).filter(([, text]) => text !== '' && !/[\u4e00-\u9fff]/u.test(text));
    expect(
      latin
        .map(([key]) => key)
        .filter(
          (key) =>
            !/tokensPerSecond|kind|devices|memoryShort|sendKeys|topK|topP|minP|items|jobs.action|switchLanguage/.test(
              key,
            ),
        ),
    ).toEqual([]);
  });

  test('of an error name the thing and the way on; in Chinese a summary comes first', async () => {
    const error = { code: 'bad-file', message: 'a.gguf: it is cut.', hint: 'Get it again.' } as const;
    expect(errorText(error)).toEqual({ message: 'a.gguf: it is cut.', detail: null, hint: 'Get it again.' });
    expect(errorText({ code: 'not-found', message: 'Gone.' }).hint).toBeNull();
    await i18n.changeLanguage('zh-CN');
    expect(errorText(error).message).toMatch(/[\u4e00-\u9fff]/u);
    expect(errorText(error).detail).toBe('a.gguf: it is cut.');
  });

  test('follow the system where that is wanted', () => {
    expect(resolveLanguage('system', ['zh-TW', 'en'])).toBe('zh-CN');
    expect(resolveLanguage('system', ['de'])).toBe('en');
    expect(resolveLanguage('en', ['zh-CN'])).toBe('en');
  });
});

describe('numbers', () => {
  test('read as people write them', () => {
    expect(formatBytes(0)).toBe('0B');
    expect(formatBytes(1_503_238_553)).toBe('1.4 GB');
    expect(formatBytes(1000 * 2 ** 20)).toBe('1 GB');
    expect(formatSpeed(34.26)).toBe('34 tok/s');
    expect(formatSpeed(3.26)).toBe('3.3 tok/s');
  });

  test('time left is no more exact than an estimate is', () => {
    expect(formatTimeLeft(0.2)).toBe('1 s left');
    expect(formatTimeLeft(150)).toBe('3 min left');
    expect(formatTimeLeft(3 * 3600)).toBe('3 h left');
  });
});
