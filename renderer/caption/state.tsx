import { Check, Clock, Lock, PencilLine, TriangleAlert } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { CaptionItem, CaptionState } from '../../contract/caption.ts';
import { Badge, Spinner } from '../ui/index.ts';
import type { Tone } from '../ui/index.ts';

const tones: Record<CaptionState, Tone> = {
  waiting: 'neutral',
  running: 'accent',
  done: 'ok',
  edited: 'ok',
  failed: 'danger',
};

export const stateIcons: Record<CaptionState | 'locked', ReactElement> = {
  waiting: <Clock aria-hidden />,
  running: <Spinner />,
  done: <Check aria-hidden />,
  edited: <PencilLine aria-hidden />,
  failed: <TriangleAlert aria-hidden />,
  locked: <Lock aria-hidden />,
};

/** The state in words, and whether a batch must leave it alone. */
export function StateBadges({ item }: { item: CaptionItem }): ReactElement {
  const { t } = useTranslation('caption');
  return (
    <span className="flex shrink-0 gap-1">
      <Badge tone={tones[item.state]}>
        {stateIcons[item.state]}
        {t(`state.${item.state}`)}
      </Badge>
      {item.isLocked ? (
        <Badge tone="warn">
          {stateIcons.locked}
          {t('state.locked')}
        </Badge>
      ) : null}
    </span>
  );
}
