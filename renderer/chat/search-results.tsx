import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { SearchHit } from '../../contract/chat.ts';
import { useStudio } from '../client/context.tsx';
import { showError, Spinner } from '../ui/index.ts';

const typingMs = 150;

export interface SearchResultsProps {
  query: string;
  onJump: (conversationId: string, messageId: string) => void;
}

export function SearchResults({ query, onJump }: SearchResultsProps): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const [found, setFound] = useState<{ query: string; hits: readonly SearchHit[] } | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      client.chat.search({ query }, { signal: abort.signal }).then((hits) => setFound({ query, hits }), showError);
    }, typingMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [client, query]);

  if (found === null) return <Spinner className="mx-auto mt-6 text-faint" />;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto px-2 pb-2">
      <p role="status" className="px-2 pb-1 text-2xs text-muted">
        {found.hits.length === 0
          ? t('list.noResults', { query: found.query })
          : t('list.results', { count: found.hits.length })}
      </p>
      <ul>
        {found.hits.map((hit) => (
          <li key={hit.messageId}>
            <button
              type="button"
              onClick={() => onJump(hit.conversationId, hit.messageId)}
              className="flex w-full flex-col gap-0.5 rounded-md px-2 py-1.5 text-left hover:bg-hover"
            >
              <span className="w-full truncate text-2xs text-muted">{hit.conversationTitle}</span>
              <span className="line-clamp-2 text-xs wrap-anywhere">
                {hit.snippet.map(({ text, match }, at) =>
                  match ? (
                    <mark key={at} className="rounded-xs bg-accent-soft text-accent-ink">
                      {text}
                    </mark>
                  ) : (
                    <span key={at}>{text}</span>
                  ),
                )}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
