import { ArrowUp, Square } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { KeyboardEvent, ReactElement, Ref } from 'react';
import { useTranslation } from 'react-i18next';
import { useSettings } from '../client/stores.ts';
import { Button, keyNames, showError, TextArea } from '../ui/index.ts';
import { readDraft, writeDraft } from './drafts.ts';

export interface ComposerProps {
  conversationId: string | null;
  isAnswering: boolean;
  canSend: boolean;
  /** Throws when it was not sent: what was typed then stays. */
  onSend: (text: string) => Promise<void>;
  onStop: () => void;
  /** Asked for by the arrow key in an empty field. */
  onEditLast?: () => void;
  onDraft?: (text: string) => void;
  inputRef?: Ref<HTMLTextAreaElement>;
  /** Whether it is what one types in first; default true. */
  takesFocus?: boolean;
  /** What the message would cost, in words. */
  hint?: string | undefined;
}

export function Composer({
  conversationId,
  isAnswering,
  canSend,
  onSend,
  onStop,
  onDraft,
  inputRef,
  takesFocus = true,
  hint,
}: ComposerProps): ReactElement {
  const { t } = useTranslation('chat');
  const sendWith = useSettings((settings) => settings.sendWith);
  const [text, setText] = useState(() => readDraft(conversationId));
  const [isSending, setSending] = useState(false);
  useEffect(() => {
    writeDraft(conversationId, text);
    onDraft?.(text);
  }, [conversationId, text, onDraft]);

  const send = async (): Promise<void> => {
    const message = text;
    if (message.trim() === '' || isAnswering || isSending || !canSend) return;
    setSending(true);
    // Cleared at once, put back where it could not be sent.
    setText('');
    writeDraft(conversationId, '');
    try {
      await onSend(message);
    } catch (thrown) {
      setText((typedSince) => (typedSince === '' ? message : `${message}\n${typedSince}`));
      showError(thrown);
    } finally {
      setSending(false);
    }
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter chooses a candidate.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === 'Escape' && isAnswering) {
      event.preventDefault();
      return onStop();
    }
    if (event.key !== 'Enter' || event.shiftKey) return;
    const isModified = event.ctrlKey || event.metaKey;
    if (sendWith === 'mod-enter' && !isModified) return;
    event.preventDefault();
    void send();
  };
  const keysHint =
    sendWith === 'enter' ? t('composer.hintEnter') : t('composer.hintMod', { mod: keyNames('$mod').join('') });
  return (
    <form
      className="mx-auto w-full max-w-[46rem] px-5 pt-1 pb-3"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="relative rounded-xl border border-line-strong bg-surface transition-colors focus-within:border-accent">
        <TextArea
          ref={inputRef}
          value={text}
          onValueChange={setText}
          onKeyDown={onKeyDown}
          minRows={2}
          maxRows={14}
          autoFocus={takesFocus}
          dir="auto"
          aria-label={t('composer.label')}
          placeholder={t('composer.placeholder')}
          className="max-h-[40vh] rounded-xl border-0 bg-transparent py-2.5 pr-13 pl-3.5 text-[0.9375rem] leading-6 outline-none focus-visible:outline-none"
        />
        <span className="absolute right-2 bottom-2">
          {isAnswering ? (
            <Button
              size="sm"
              variant="secondary"
              className="size-9 rounded-lg p-0"
              aria-label={t('composer.stop')}
              title={t('composer.stop')}
              onClick={onStop}
              icon={<Square />}
            />
          ) : (
            <Button
              type="submit"
              size="sm"
              variant="primary"
              className="size-9 rounded-lg p-0"
              aria-label={t('composer.send')}
              title={t('composer.send')}
              isBusy={isSending}
              disabled={text.trim() === '' || !canSend}
              icon={<ArrowUp />}
            />
          )}
        </span>
      </div>
      <p className="tnum flex justify-between gap-4 px-1 pt-1 text-2xs text-faint">
        <span className="truncate">{keysHint}</span>
        <span className="shrink-0">{hint}</span>
      </p>
    </form>
  );
}
