import { ArrowDown } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { Virtuoso } from 'react-virtuoso';
import type { VirtuosoHandle } from 'react-virtuoso';
import { Button } from '../ui/index.ts';
import { useConversationState } from './conversation-store.ts';
import { MessageView } from './message.tsx';

/** Nearer to the end than this counts as at the end. */
const bottomThresholdPx = 60;

/** The active branch. It follows what is being written unless the person scrolled up. */
export function Messages({ jumpTo }: { jumpTo: string | null }): ReactElement {
  const { t } = useTranslation('chat');
  const path = useConversationState((state) => state.path);
  const liveLength = useConversationState(({ live }) => live?.text.length ?? 0);
  const endedAnswers = useConversationState((state) => state.endedAnswers);
  const [isAtBottom, setAtBottom] = useState(true);
  const list = useRef<VirtuosoHandle>(null);
  const target = jumpTo === null ? -1 : path.findIndex(({ id }) => id === jumpTo);

  useEffect(() => {
    if (isAtBottom && liveLength > 0) list.current?.autoscrollToBottom();
  }, [isAtBottom, liveLength]);
  useEffect(() => {
    if (target >= 0) list.current?.scrollToIndex({ index: target, align: 'center' });
  }, [target]);

  return (
    <div className="relative min-h-0 flex-1">
      <Virtuoso
        ref={list}
        className="h-full"
        role="log"
        aria-label={t('message.messages')}
        aria-live="off"
        tabIndex={0}
        data={path}
        computeItemKey={(_at, message) => message.id}
        initialTopMostItemIndex={Math.max(0, path.length - 1)}
        followOutput={(isAtEnd) => (isAtEnd ? 'auto' : false)}
        atBottomThreshold={bottomThresholdPx}
        atBottomStateChange={setAtBottom}
        increaseViewportBy={{ top: 600, bottom: 600 }}
        itemContent={(at, message) => <MessageView message={message} isLast={at >= path.length - 2} />}
      />
      {isAtBottom ? null : (
        <Button
          size="sm"
          icon={<ArrowDown />}
          className="absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full shadow-float"
          onClick={() => list.current?.scrollToIndex({ index: 'LAST', align: 'end' })}
        >
          {t('message.toNewest')}
        </Button>
      )}
      <p role="status" className="sr-only">
        {endedAnswers === 0 ? '' : t('message.done')}
      </p>
    </div>
  );
}
