import { Square } from 'lucide-react';
import { useEffect, useRef } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { AudioRun } from '../../contract/audio.ts';
import { useStudio } from '../client/context.tsx';
import { formatTimeLeft } from '../i18n/format.ts';
import { Button, Progress, showError } from '../ui/index.ts';

/** What is being made: how far it is, what it looks like by now, and the way to stop it. */
export function RunCard({ run }: { run: AudioRun }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const fraction = run.total === 0 ? null : run.done / run.total;
  const stage =
    run.stage === 'steps'
      ? t('audio.stage.steps', { done: run.done, total: run.total })
      : t(`audio.stage.${run.stage}`);
  return (
    <section aria-label={t('audio.running')} className="flex flex-col gap-2 border-b border-line bg-sunken p-4">
      <div className="flex items-center gap-3">
        <div className="min-w-0 flex-1">
          <p className="truncate text-sm font-medium">{run.prompt}</p>
          <p className="tnum text-xs text-muted" role="status">
            {stage}
            {run.takes > 1 ? ` · ${t('audio.takeOf', { take: run.take, takes: run.takes })}` : ''}
            {run.etaSeconds === null ? '' : ` · ${formatTimeLeft(run.etaSeconds)}`}
          </p>
        </div>
        <Button
          size="sm"
          icon={<Square />}
          onClick={() => void client.audio.cancel({ runId: run.id }).catch(showError)}
        >
          {t('audio.stop')}
        </Button>
      </div>
      <Progress fraction={fraction} label={stage} />
      {run.preview === null ? null : <Preview {...run.preview} />}
      {run.cutPrompt === '' ? null : (
        <p className="line-clamp-2 text-xs text-warn">{t('audio.cut', { text: run.cutPrompt })}</p>
      )}
    </section>
  );
}

/** The latents' channels over time, growing clear out of the noise. */
function Preview({ rows, columns, values }: NonNullable<AudioRun['preview']>): ReactElement {
  const { t } = useTranslation();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context == null) return;
    const accent = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
    context.clearRect(0, 0, columns, rows);
    context.fillStyle = accent;
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        context.globalAlpha = (values[row * columns + column] ?? 0) / 255;
        context.fillRect(column, row, 1, 1);
      }
    }
  }, [rows, columns, values]);
  return (
    <canvas
      ref={canvas}
      width={columns}
      height={rows}
      role="img"
      aria-label={t('audio.preview')}
      className="h-16 w-full rounded-md bg-surface [image-rendering:pixelated]"
    />
  );
}
