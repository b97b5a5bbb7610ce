import { Check, Copy } from 'lucide-react';
import { memo, useEffect, useState } from 'react';
import type { CSSProperties, ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { showError } from '../ui/index.ts';

interface Token {
  readonly content: string;
  readonly style: CSSProperties | undefined;
}

/** Highlighting a long block on every new line would cost more than it gives. */
const longestHighlighted = 20_000;
const settleMs = 120;
const copiedMs = 1500;

/** Tokens with both themes' colours; null until they are there, and for languages nobody knows. */
async function highlight(code: string, language: string): Promise<Token[][] | null> {
  const { code: plugin } = await import('@streamdown/code');
  const known = plugin.getSupportedLanguages().find((name) => name === language.toLowerCase());
  if (known === undefined) return null;
  return new Promise((resolve) => {
    const take = (result: {
      tokens: { content: string; color?: string; htmlStyle?: Record<string, string> | string }[][];
    }): void => resolve(result.tokens.map((line) => line.map(tokenOf)));
    const now = plugin.highlight(
      { code, language: known, themes: ['github-light-high-contrast', 'github-dark-high-contrast'] },
      take,
    );
    if (now !== null) take(now);
  });
}

function tokenOf({
  content,
  color,
  htmlStyle,
}: {
  content: string;
  color?: string;
  htmlStyle?: Record<string, string> | string;
}): Token {
  const styles = typeof htmlStyle === 'object' ? htmlStyle : {};
  const light = styles['--shiki-light'] ?? styles['color'] ?? color;
  const dark = styles['--shiki-dark'] ?? light;
  return {
    content,
    style: light === undefined ? undefined : ({ '--shiki-light': light, '--shiki-dark': dark } as CSSProperties),
  };
}

export const CodeBlock = memo(function CodeBlock({ code, language }: { code: string; language: string }): ReactElement {
  const { t } = useTranslation('chat');
  const [highlighted, setHighlighted] = useState<{ code: string; lines: Token[][] } | null>(null);
  const [isCopied, setCopied] = useState(false);
  const plain = code.replace(/\n$/, '');

  useEffect(() => {
    if (language === '' || plain.length > longestHighlighted) return;
    let isOver = false;
    const timer = setTimeout(() => {
      highlight(plain, language).then(
        (lines) => {
          if (!isOver && lines !== null) setHighlighted({ code: plain, lines });
        },
        () => undefined,
      );
    }, settleMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [plain, language]);

  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(plain);
    setCopied(true);
    setTimeout(() => setCopied(false), copiedMs);
  };
  return (
    <div className="overflow-hidden rounded-lg border border-line bg-sunken">
      <div className="flex h-8 items-center justify-between border-b border-line pr-1 pl-3 text-2xs text-muted">
        <span>{language === '' ? t('message.code') : language}</span>
        <button
          type="button"
          onClick={() => void copy().catch(showError)}
          className="flex h-6 items-center gap-1 rounded px-1.5 hover:bg-hover hover:text-ink [&_svg]:size-3.5"
        >
          {isCopied ? <Check aria-hidden /> : <Copy aria-hidden />}
          {isCopied ? t('message.copied') : t('message.codeCopy')}
        </button>
      </div>
      <pre tabIndex={0} className="overflow-x-auto px-3 py-2.5 font-mono text-xs leading-5">
        <code>
          {highlighted?.code === plain
            ? highlighted.lines.map((line, at) => (
                <span key={at}>
                  {line.map((token, index) => (
                    <span key={index} className="code-token" style={token.style}>
                      {token.content}
                    </span>
                  ))}
                  {'\n'}
                </span>
              ))
            : plain}
        </code>
      </pre>
    </div>
  );
});
