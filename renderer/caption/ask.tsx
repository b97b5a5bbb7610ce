import { ArrowUp, Square, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem } from '../../contract/caption.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import { useStudio } from '../client/context.tsx';
import { Button, ErrorNotice, IconButton, Spinner, TextArea } from '../ui/index.ts';
import { useModelId } from './models.ts';
import { useCaptions } from './store.ts';

interface Turn {
  readonly question: string;
  readonly answer: string;
}

interface Asking extends Turn {
  readonly stage: 'waiting' | 'loading' | 'looking' | 'answering' | 'done';
}

/** Questions about one picture or clip. They are of the moment: nothing of it is kept. */
export function Ask({ item, onClose }: { item: CaptionItem; onClose: () => void }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const modelId = useModelId();
  const { maxTokens, temperature, seed, sampling } = useCaptions(({ draft }) => draft.settings);
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [asking, setAsking] = useState<Asking | null>(null);
  const [question, setQuestion] = useState('');
  const [error, setError] = useState<ErrorData | null>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const ask = async (): Promise<void> => {
    const asked = question.trim();
    if (asked === '' || modelId === null || abort.current !== null) return;
    abort.current = new AbortController();
    setQuestion('');
    setError(null);
    let now: Asking = { question: asked, answer: '', stage: 'waiting' };
    setAsking(now);
    try {
      const history = turns.flatMap((turn) => [
        { role: 'user' as const, text: turn.question },
        { role: 'assistant' as const, text: turn.answer },
      ]);
      const settings = { maxTokens, temperature, seed, sampling };
      const answers = client.caption.ask(
        { itemId: item.id, modelId, question: asked, history, settings },
        { signal: abort.current.signal },
      );
      for await (const event of answers) {
        now = { question: asked, answer: event.text, stage: event.stage };
        setAsking(now);
      }
    } catch (thrown) {
      const data = toErrorData(thrown);
      if (data.code !== 'cancelled') setError(data);
      if (now.answer === '') setQuestion((typed) => (typed === '' ? asked : typed));
    }
    if (now.answer !== '') setTurns((before) => [...before, now]);
    abort.current = null;
    setAsking(null);
  };

  const shown = asking === null ? turns : [...turns, asking];
  return (
    <section aria-label={t('ask.title')} className="flex flex-col gap-2 rounded-lg border border-line p-3">
      <div className="flex items-center gap-2">
        <h3 className="flex-1 text-sm font-medium">{t('ask.title')}</h3>
        <IconButton size="sm" label={t('ask.close')} icon={<X />} onClick={onClose} />
      </div>
      {shown.length === 0 ? null : (
        <div role="log" aria-label={t('ask.answers')} aria-busy={asking !== null} className="flex flex-col gap-2">
          {shown.map((turn, at) => (
            <div key={at} className="flex flex-col gap-1">
              <p className="text-sm font-medium wrap-anywhere">{turn.question}</p>
              <p className="text-sm wrap-anywhere whitespace-pre-line text-muted">
                {turn.answer}
                {turn === asking && turn.answer === '' ? (
                  <span className="flex items-center gap-2">
                    <Spinner /> {t(`ask.stage.${asking.stage}`)}
                  </span>
                ) : null}
              </p>
            </div>
          ))}
        </div>
      )}
      {error === null ? null : <ErrorNotice error={error} />}
      <form
        className="flex items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <TextArea
          autoFocus
          value={question}
          onValueChange={setQuestion}
          aria-label={t('ask.question')}
          placeholder={t('ask.placeholder')}
          minRows={1}
          maxRows={5}
          onKeyDown={(event) => {
            if (event.nativeEvent.isComposing || event.key !== 'Enter' || event.shiftKey) return;
            event.preventDefault();
            void ask();
          }}
        />
        {asking === null ? (
          <IconButton
            type="submit"
            variant="primary"
            label={t('ask.send')}
            icon={<ArrowUp />}
            disabled={question.trim() === '' || modelId === null}
          />
        ) : (
          <Button aria-label={t('ask.stop')} icon={<Square />} onClick={() => abort.current?.abort()} />
        )}
      </form>
    </section>
  );
}
