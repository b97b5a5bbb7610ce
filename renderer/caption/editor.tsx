import { useEffect, useEffectEvent, useRef, useState } from 'react';
import type { ReactElement, Ref } from 'react';
import { useTranslation } from 'react-i18next';
import { captionTextSchema } from '../../contract/caption.ts';
import { useStudio } from '../client/context.tsx';
import { cx, showError, TextArea } from '../ui/index.ts';
import { useCaptions, withItems } from './store.ts';

/** A pause in typing after which it is saved; leaving the field saves at once. */
const saveAfterMs = 900;
/** That it was saved is told for so long. */
const toldMs = 1500;

export interface CaptionEditorProps {
  readonly itemId: string;
  /** A stretch of a clip; null: the caption as a whole. */
  readonly segment: number | null;
  /** As main knows it. */
  readonly text: string;
  /** A caption in the making, shown instead. */
  readonly writing: string | null;
  readonly label: string;
  readonly isReadOnly: boolean;
  readonly minRows: number;
  readonly inputRef?: Ref<HTMLTextAreaElement>;
  readonly onLeave: () => void;
}

/** A caption, edited in place. Mount anew (with a key) for another one. */
export function CaptionEditor(props: CaptionEditorProps): ReactElement {
  const { itemId, segment, text, writing, label, isReadOnly, minRows, inputRef, onLeave } = props;
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  /** Null while what main has is what is shown. */
  const [draft, setDraft] = useState<string | null>(null);
  const [saved, setSaved] = useState<'no' | 'saving' | 'yes'>('no');
  const unsaved = useRef<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const save = useEffectEvent(async (): Promise<void> => {
    clearTimeout(timer.current);
    const wanted = unsaved.current;
    unsaved.current = null;
    if (wanted === null || wanted === text) return setDraft((now) => (now === text ? null : now));
    setSaved('saving');
    try {
      const item = await client.caption.edit({ itemId, segment, text: wanted });
      useCaptions.setState((state) => withItems(state, [item]));
      setDraft((now) => (now === wanted ? null : now));
      setSaved('yes');
      timer.current = setTimeout(() => setSaved('no'), toldMs);
    } catch (thrown) {
      // What was typed stays in the field, to be saved with the next change.
      unsaved.current ??= wanted;
      setSaved('no');
      showError(thrown);
    }
  });
  // Another item is shown, or the panel is left.
  useEffect(() => () => void save(), []);

  return (
    <div className="relative">
      <TextArea
        ref={inputRef}
        value={writing ?? draft ?? text}
        onValueChange={(value) => {
          if (!captionTextSchema.safeParse(value).success) return;
          setDraft(value);
          setSaved('no');
          unsaved.current = value;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => void save(), saveAfterMs);
        }}
        onFocus={() => useCaptions.setState({ isFollowing: false })}
        onBlur={() => void save()}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          const isDone = event.key === 'Escape' || (event.key === 'Enter' && (event.ctrlKey || event.metaKey));
          if (!isDone) return;
          event.preventDefault();
          event.stopPropagation();
          onLeave();
        }}
        readOnly={isReadOnly || writing !== null}
        aria-label={label}
        aria-busy={writing !== null || undefined}
        placeholder={t(isReadOnly ? 'detail.noCaption' : 'detail.placeholder')}
        dir="auto"
        spellCheck
        minRows={minRows}
        maxRows={14}
        className={cx('text-base leading-6', (isReadOnly || writing !== null) && 'bg-sunken')}
      />
      <span
        role="status"
        className={cx(
          'absolute right-1.5 bottom-1 rounded bg-surface px-1 text-2xs text-faint',
          saved === 'no' && 'sr-only',
        )}
      >
        {saved === 'no' ? '' : t(saved === 'saving' ? 'detail.saving' : 'detail.saved')}
      </span>
    </div>
  );
}
