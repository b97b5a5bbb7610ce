/** Model output as Markdown. It is hostile by assumption: no HTML runs, nothing is fetched, links ask first. */
import { createMathPlugin } from '@streamdown/math';
import 'katex/dist/katex.min.css';
import { ImageOff } from 'lucide-react';
import { isValidElement, memo } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Streamdown } from 'streamdown';
import type { Components } from 'streamdown';
import { panels, useNavigation } from '../client/navigation.ts';
import type { Panel } from '../client/navigation.ts';
import { CodeBlock } from './code-block.tsx';
import { askToOpen } from './link-dialog.tsx';
import './markdown.css';

// A single dollar is money: "$5 and $6".
const plugins = { math: createMathPlugin({ singleDollarTextMath: false, errorColor: 'var(--danger)' }) };

function isWebAddress(href: string | undefined): href is string {
  return href !== undefined && /^https?:\/\//i.test(href);
}

/** `#/audio` and the like: what `withPanelLinks` leaves, and the only links that lead inside. */
function panelOf(href: string | undefined): Panel | null {
  return panels.find((panel) => href === `#/${panel}`) ?? null;
}

function PanelLink({ panel, children }: { panel: Panel; children?: ReactNode }): ReactElement {
  const go = useNavigation((place) => place.go);
  return (
    <a
      href={`#/${panel}`}
      onClick={(event) => {
        event.preventDefault();
        go({ panel });
      }}
    >
      {children}
    </a>
  );
}

function SafeLink({ href, children }: { href?: string | undefined; children?: ReactNode }): ReactElement {
  const panel = panelOf(href);
  if (panel !== null) return <PanelLink panel={panel}>{children}</PanelLink>;
  if (!isWebAddress(href)) return <span>{children}</span>;
  return (
    <a
      href={href}
      rel="noreferrer noopener"
      onClick={(event) => {
        event.preventDefault();
        askToOpen(href);
      }}
    >
      {children}
    </a>
  );
}

/** Pictures are named, never loaded. */
function MissingImage({ alt, src }: { alt?: string | undefined; src?: string | undefined }): ReactElement {
  const { t } = useTranslation('chat');
  const name = alt === undefined || alt === '' ? (src ?? '') : alt;
  return (
    <span
      title={t('message.imageHint')}
      className="inline-flex max-w-full items-center gap-1 rounded border border-line px-1.5 text-xs text-muted"
    >
      <ImageOff aria-hidden className="size-3.5 shrink-0" />
      <span className="truncate">{t('message.image', { alt: name.slice(0, 200) })}</span>
    </span>
  );
}

function textOf(node: ReactNode): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map((child: ReactNode) => textOf(child)).join('');
  return '';
}

interface CodeProps {
  readonly className?: string;
  readonly children?: ReactNode;
}

/** A block of code is a `code` inside a `pre`. */
function codeOf(children: ReactNode): CodeProps {
  return isValidElement<CodeProps>(children) ? children.props : { children };
}

const components: Components = {
  a: ({ href, children }) => <SafeLink href={href}>{children}</SafeLink>,
  img: ({ alt, src }) => <MissingImage alt={alt} src={typeof src === 'string' ? src : undefined} />,
  pre: ({ children }) => {
    const { className, children: code } = codeOf(children);
    return <CodeBlock language={/language-([\w+#-]+)/.exec(className ?? '')?.[1] ?? ''} code={textOf(code)} />;
  },
  code: ({ children }) => <code>{children}</code>,
  inlineCode: ({ children }) => <code>{children}</code>,
  table: ({ children }) => (
    <div className="md-table" tabIndex={0} role="group">
      <table>{children}</table>
    </div>
  ),
  // Plain elements: markdown.css gives them their looks.
  h1: ({ children }) => <h3>{children}</h3>,
  h2: ({ children }) => <h3>{children}</h3>,
  h3: ({ children }) => <h4>{children}</h4>,
  h4: ({ children }) => <h5>{children}</h5>,
  h5: ({ children }) => <h6>{children}</h6>,
  h6: ({ children }) => <h6>{children}</h6>,
  ul: ({ children }) => <ul>{children}</ul>,
  ol: ({ children, start }) => <ol start={start}>{children}</ol>,
  li: ({ children }) => <li>{children}</li>,
  p: ({ children }) => <p>{children}</p>,
  blockquote: ({ children }) => <blockquote>{children}</blockquote>,
  hr: () => <hr />,
  strong: ({ children }) => <strong>{children}</strong>,
  thead: ({ children }) => <thead>{children}</thead>,
  tbody: ({ children }) => <tbody>{children}</tbody>,
  tr: ({ children }) => <tr>{children}</tr>,
  th: ({ children }) => <th>{children}</th>,
  td: ({ children }) => <td>{children}</td>,
};

/**
 * `\( \)` and `\[ \]` are how many models write maths; outside code they become what the parser knows. A formula alone
 * on its line is shown large.
 */
export function normaliseMath(text: string): string {
  return text
    .split(/(```[\s\S]*?(?:```|$)|`[^`\n]*`)/)
    .map((piece, at) =>
      at % 2 === 1
        ? piece
        : piece
            .replaceAll(
              /^[ \t]*\$\$([^\n$]+)\$\$[ \t]*$/gm,
              (_whole, formula: string) => `\n$$\n${formula.trim()}\n$$\n`,
            )
            .replaceAll(/\\\[([\s\S]+?)\\\]/g, (_whole, formula: string) => `\n$$\n${formula.trim()}\n$$\n`)
            .replaceAll(/\\\(([^\n]+?)\\\)/g, (_whole, formula: string) => `$$${formula.trim()}$$`),
    )
    .join('');
}

const panelLink = new RegExp(String.raw`\]\(lutra:(${panels.join('|')})\)`, 'g');

/** `[Audio](lutra:audio)`, as the guide writes it, becomes a link that the parser lets through. */
export function withPanelLinks(text: string): string {
  return text.replaceAll(panelLink, '](#/$1)');
}

export const Markdown = memo(function Markdown({
  text,
  isStreaming,
}: {
  text: string;
  isStreaming: boolean;
}): ReactElement {
  return (
    <Streamdown
      className="md"
      mode={isStreaming ? 'streaming' : 'static'}
      parseIncompleteMarkdown={isStreaming}
      plugins={plugins}
      components={components}
      controls={false}
      dir="auto"
    >
      {withPanelLinks(normaliseMath(text))}
    </Streamdown>
  );
});
