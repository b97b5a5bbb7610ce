import { ChevronLeft, ChevronRight, Check, Copy, Pencil, RotateCcw } from 'lucide-react';
import { memo, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { AnswerStage, Message } from '../../contract/chat.ts';
import { useStudio } from '../client/context.tsx';
import { formatNumber, formatPercent, formatSpeed, formatTimeLeft } from '../i18n/format.ts';
import { Button, cx, ErrorNotice, IconButton, Progress, showError, Spinner, TextArea } from '../ui/index.ts';
import { useConversationState } from './conversation-store.ts';
import { Markdown } from './markdown.tsx';

const copiedMs = 1500;

/** One turn. Only the one that is being written draws again while it streams. */
export const MessageView = memo(function MessageView({
  message,
  isLast,
}: {
  message: Message;
  isLast: boolean;
}): ReactElement {
  const { t } = useTranslation('chat');
  const [isEditing, setEditing] = useState(false);
  const isUser = message.role === 'user';
  const name = isUser ? t('message.you') : (message.modelName ?? t('message.assistant'));
  return (
    <article
      aria-label={name}
      className={cx('group mx-auto w-full max-w-[46rem] px-5', isUser ? 'pt-6' : 'pt-3', isLast && 'pb-4')}
    >
      <h2 className="flex items-center gap-2 pb-1 text-xs font-semibold text-muted">
        <span aria-hidden className={cx('size-1.5 rounded-full', isUser ? 'bg-faint' : 'bg-accent')} />
        <span className="truncate">{name}</span>
      </h2>
      {isEditing ? (
        <Editor message={message} onClose={() => setEditing(false)} />
      ) : isUser ? (
        <p
          dir="auto"
          className="rounded-lg bg-sunken px-3.5 py-2.5 text-[0.9375rem] leading-relaxed wrap-anywhere whitespace-pre-wrap"
        >
          {message.text}
        </p>
      ) : (
        <Answer message={message} />
      )}
      {isEditing ? null : <Actions message={message} isLast={isLast} onEdit={() => setEditing(true)} />}
    </article>
  );
});

function Answer({ message }: { message: Message }): ReactElement {
  const liveText = useConversationState(({ live }) => (live?.messageId === message.id ? live.text : null));
  const stage = useConversationState((state) => (state.stage?.messageId === message.id ? state.stage.stage : null));
  const isStreaming = message.status === 'answering';
  const text = liveText ?? message.text;
  return (
    <>
      {text === '' ? null : <Markdown text={text} isStreaming={isStreaming} />}
      {isStreaming && text === '' ? <Stage stage={stage} /> : null}
      {isStreaming && text !== '' && stage?.stage === 'loading' ? <Stage stage={stage} /> : null}
      <Outcome message={message} />
    </>
  );
}

/** What goes on before the first word. */
function Stage({ stage }: { stage: AnswerStage | null }): ReactElement {
  const { t } = useTranslation('chat');
  const label = stage === null ? t('message.thinking') : t(`message.stage.${stage.stage}`);
  const details = [
    stage?.fraction == null ? null : formatPercent(stage.fraction),
    stage?.etaSeconds == null || stage.etaSeconds < 1 ? null : formatTimeLeft(stage.etaSeconds),
  ].filter((part) => part !== null);
  return (
    <div className="flex max-w-xs flex-col gap-1.5 py-1 text-sm text-muted">
      <span className="tnum flex items-center gap-2">
        <Spinner className="size-3.5" />
        {label}
        {details.length === 0 ? null : <span className="text-faint">{details.join(' · ')}</span>}
      </span>
      {stage?.stage === 'loading' ? <Progress label={label} fraction={stage.fraction} /> : null}
    </div>
  );
}

function Outcome({ message }: { message: Message }): ReactElement | null {
  const { t } = useTranslation('chat');
  if (message.status === 'stopped') return <p className="pt-1.5 text-xs text-muted">{t('message.stopped')}</p>;
  if (message.status === 'interrupted') return <p className="pt-1.5 text-xs text-warn">{t('message.interrupted')}</p>;
  if (message.status !== 'failed' || message.error === null) return null;
  return <ErrorNotice className="mt-2" error={message.error} actions={<Retry messageId={message.id} />} />;
}

function Retry({ messageId }: { messageId: string }): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  return (
    <Button size="sm" icon={<RotateCcw />} onClick={() => void client.chat.regenerate({ messageId }).catch(showError)}>
      {t('message.retry')}
    </Button>
  );
}

function Actions({ message, isLast, onEdit }: { message: Message; isLast: boolean; onEdit: () => void }): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const isAnswering = useConversationState(({ conversation }) => conversation?.isAnswering ?? false);
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(message.text);
    setCopied(true);
    setTimeout(() => setCopied(false), copiedMs);
  };
  if (message.status === 'answering') return <div className="h-8" />;
  return (
    <div className="-ml-1.5 flex min-h-8 flex-wrap items-center gap-x-1 pt-0.5 text-xs text-muted">
      <Branches message={message} disabled={isAnswering} />
      <span
        className={cx(
          'flex items-center gap-0.5 transition-opacity',
          !isLast && 'opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100',
        )}
      >
        <IconButton
          size="sm"
          label={t(isCopied ? 'message.copied' : 'message.copy')}
          icon={isCopied ? <Check /> : <Copy />}
          onClick={() => void copy().catch(showError)}
        />
        {message.role === 'user' ? (
          <IconButton size="sm" label={t('message.edit')} icon={<Pencil />} disabled={isAnswering} onClick={onEdit} />
        ) : (
          <IconButton
            size="sm"
            label={t('message.regenerate')}
            icon={<RotateCcw />}
            disabled={isAnswering}
            onClick={() => void client.chat.regenerate({ messageId: message.id }).catch(showError)}
          />
        )}
      </span>
      <Stats message={message} />
    </div>
  );
}

function Branches({ message, disabled }: { message: Message; disabled: boolean }): ReactElement | null {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const { siblingIds, id } = message;
  if (siblingIds.length < 2) return null;
  const at = siblingIds.indexOf(id);
  const select = (messageId: string | undefined): void => {
    if (messageId !== undefined) void client.chat.selectBranch({ messageId }).catch(showError);
  };
  return (
    <span
      role="group"
      aria-label={t('message.version', { at: at + 1, count: siblingIds.length })}
      className="tnum flex items-center"
    >
      <IconButton
        size="sm"
        label={t('message.previous')}
        icon={<ChevronLeft />}
        disabled={disabled || at === 0}
        onClick={() => select(siblingIds[at - 1])}
      />
      <span aria-hidden>
        {at + 1}/{siblingIds.length}
      </span>
      <IconButton
        size="sm"
        label={t('message.next')}
        icon={<ChevronRight />}
        disabled={disabled || at === siblingIds.length - 1}
        onClick={() => select(siblingIds[at + 1])}
      />
    </span>
  );
}

function Stats({ message }: { message: Message }): ReactElement | null {
  const { t } = useTranslation('chat');
  const { stats } = message;
  if (stats === null) return null;
  const ms = stats.timeToFirstTokenMs;
  const first =
    ms < 1000
      ? t('message.milliseconds', { value: formatNumber(ms, 0) })
      : t('message.seconds', { value: formatNumber(ms / 1000, 1) });
  const parts = [
    t('message.stats', {
      speed: formatSpeed(stats.tokensPerSecond),
      first,
      tokens: formatNumber(stats.generatedTokens, 0),
      seed: String(stats.seed),
    }),
    ...(stats.stopReason === 'end' ? [] : [t(`message.reason.${stats.stopReason}`)]),
  ];
  return (
    <span className="tnum ml-1 truncate text-2xs text-faint" title={t('message.cached', { count: stats.cachedTokens })}>
      {parts.join(' · ')}
    </span>
  );
}

/** Sends another version beside the message; the former one stays. */
function Editor({ message, onClose }: { message: Message; onClose: () => void }): ReactElement {
  const { t } = useTranslation('chat');
  const { client } = useStudio();
  const [text, setText] = useState(message.text);
  const [isSending, setSending] = useState(false);
  const { conversationId, parentId } = message;
  const send = async (): Promise<void> => {
    setSending(true);
    try {
      await client.chat.send({ conversationId, text, parentId });
      onClose();
    } catch (thrown) {
      showError(thrown);
      setSending(false);
    }
  };
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <TextArea
        autoFocus
        value={text}
        onValueChange={setText}
        aria-label={t('message.editLabel')}
        minRows={2}
        maxRows={16}
        className="text-[0.9375rem]"
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Escape') onClose();
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void send();
        }}
      />
      <div className="flex justify-end gap-2">
        <Button size="sm" onClick={onClose}>
          {t('message.cancel')}
        </Button>
        <Button size="sm" type="submit" variant="primary" isBusy={isSending} disabled={text.trim() === ''}>
          {t('message.save')}
        </Button>
      </div>
    </form>
  );
}
