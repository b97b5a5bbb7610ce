import { AudioLines, Image, MessageSquare } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Grant } from '../../contract/files.ts';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { withoutTranslation } from '../i18n/format.ts';
import { Badge, Button, showError } from '../ui/index.ts';
import { useAskGuide, useCaptionSamples, useDemo, useMakeSound, useSamples } from './use-demos.ts';

/** Three cards, one per panel, each with a button that does the real thing at once. */
export function Welcome(): ReactElement {
  const { t } = useTranslation('welcome');
  const go = useNavigation((place) => place.go);
  return (
    <div className="mx-auto flex w-full max-w-4xl flex-col gap-5 px-4 py-6">
      <div className="text-center">
        <h2 className="text-xl font-semibold tracking-tight text-balance">{t('title')}</h2>
        <p className="pt-1 text-sm text-pretty text-muted">{t('body')}</p>
      </div>
      <div className="grid gap-3 md:grid-cols-3">
        <ChatCard />
        <CaptionCard />
        <AudioCard />
      </div>
      <p className="text-center text-xs text-pretty text-muted">
        {t('demos')}{' '}
        <button
          type="button"
          className="font-medium text-accent-ink underline"
          onClick={() => go({ panel: 'weights' })}
        >
          {t('toWeights')}
        </button>
      </p>
    </div>
  );
}

interface CardProps {
  readonly icon: ReactNode;
  readonly title: string;
  readonly body: string;
  /** Why it cannot be done; null: it can. */
  readonly reason: string | null;
  readonly action: string;
  readonly isPrimary?: boolean;
  readonly run: () => Promise<void>;
  readonly children?: ReactNode;
}

function Card({ icon, title, body, reason, action, isPrimary = false, run, children }: CardProps): ReactElement {
  const { t } = useTranslation();
  const [isBusy, setBusy] = useState(false);
  const act = (): void => {
    setBusy(true);
    run()
      .catch(showError)
      .finally(() => setBusy(false));
  };
  return (
    <section
      aria-label={title}
      className="flex min-w-0 flex-col gap-2 rounded-xl border border-line bg-surface p-4 [&>svg]:size-6"
    >
      <div className="flex items-center gap-2 text-accent-ink [&_svg]:size-5">
        <span aria-hidden>{icon}</span>
        <h3 className="flex-1 text-sm font-semibold text-ink">{title}</h3>
        {reason === null ? <Badge tone="accent">{t('models.demo')}</Badge> : null}
      </div>
      <p className="text-sm text-pretty text-muted">{reason ?? body}</p>
      {children}
      <Button
        className="mt-auto self-start"
        variant={isPrimary && reason === null ? 'primary' : 'secondary'}
        disabled={reason !== null}
        isBusy={isBusy}
        onClick={act}
      >
        {action}
      </Button>
    </section>
  );
}

function ChatCard(): ReactElement {
  const { t } = useTranslation('welcome');
  const model = useDemo('chat');
  const ask = useAskGuide();
  const about = async (question: string): Promise<void> => {
    if (model !== null) await ask(model, question);
  };
  return (
    <Card
      icon={<MessageSquare />}
      title={t('chat.title')}
      body={t('chat.body')}
      reason={model === null ? t('chat.missing') : null}
      action={t('chat.action')}
      isPrimary
      run={() => about(t('chat.first'))}
    >
      {model === null ? null : (
        <Suggestions
          texts={(['models', 'privacy', 'sum'] as const).map((key) => t(`chat.questions.${key}`))}
          choose={about}
        />
      )}
    </Card>
  );
}

/** Things to ask for instead of the first one. */
function Suggestions({
  texts,
  choose,
}: {
  texts: readonly string[];
  choose: (text: string) => Promise<void>;
}): ReactElement {
  return (
    <ul className="flex flex-col items-start gap-1 pb-1">
      {texts.map((text) => (
        <li key={text}>
          <button
            type="button"
            className="text-left text-sm text-accent-ink underline decoration-line-strong underline-offset-2 hover:decoration-current"
            onClick={() => void choose(text).catch(showError)}
          >
            {text}
          </button>
        </li>
      ))}
    </ul>
  );
}

function CaptionCard(): ReactElement {
  const { t } = useTranslation('welcome');
  const model = useDemo('caption');
  const samples = useSamples();
  const caption = useCaptionSamples();
  const reason = model === null ? t('caption.missing') : samples?.length === 0 ? t('caption.noSamples') : null;
  return (
    <Card
      icon={<Image />}
      title={t('caption.title')}
      body={t('caption.body')}
      reason={reason}
      action={t('caption.action')}
      run={async () => {
        if (model !== null && samples !== null) await caption(model, samples);
      }}
    >
      <Thumbnails samples={samples ?? []} />
    </Card>
  );
}

const shownSamples = 4;

function Thumbnails({ samples }: { samples: readonly Grant[] }): ReactElement | null {
  const { t } = useTranslation('welcome');
  const { host } = useStudio();
  const pictures = samples.filter(({ name }) => /\.(png|jpe?g|webp|gif)$/i.test(name)).slice(0, shownSamples);
  if (pictures.length === 0) return null;
  return (
    <div role="img" aria-label={t('caption.samples')} className="flex gap-1.5 pb-1">
      {pictures.map(({ id }) => (
        <img
          key={id}
          src={host === 'electron' ? `media://grant/${id}` : `/media/${id}`}
          alt=""
          className="size-12 min-w-0 rounded-md border border-line object-cover"
        />
      ))}
    </div>
  );
}

function AudioCard(): ReactElement {
  const { t } = useTranslation('welcome');
  const go = useNavigation((place) => place.go);
  const model = useDemo('audio');
  const make = useMakeSound();
  const makeFrom = async (text: string): Promise<void> => {
    if (model !== null) await make(model, withoutTranslation(text));
  };
  return (
    <Card
      icon={<AudioLines />}
      title={t('audio.title')}
      body={t('audio.body')}
      reason={model === null ? t('audio.missing') : null}
      action={t('audio.action')}
      run={() => makeFrom(t('audio.first'))}
    >
      {model === null ? (
        <button
          type="button"
          className="self-start pb-1 text-left text-sm text-accent-ink underline"
          onClick={() => go({ panel: 'weights' })}
        >
          {t('toWeights')}
        </button>
      ) : (
        <Suggestions
          texts={(['flute', 'chord', 'beat'] as const).map((key) => t(`audio.prompts.${key}`))}
          choose={makeFrom}
        />
      )}
    </Card>
  );
}
