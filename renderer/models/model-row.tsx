import type { TFunction } from 'i18next';
import { Ellipsis, EyeOff, FileSearch, MessageSquare, RefreshCw, Shrink, Trash2, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import type { Model } from '../../contract/models.ts';
import { useUpdateSettings } from '../client/actions.ts';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { errorText } from '../i18n/errors.ts';
import { formatBytes, formatCount, formatNumber } from '../i18n/format.ts';
import { Badge, IconButton, Menu, MenuItem, MenuSeparator, showError, showToast } from '../ui/index.ts';
import type { Tone } from '../ui/index.ts';
import { FitButton } from './fit-button.tsx';
import { QuantizeDialog } from './quantize-dialog.tsx';

/** One grid for the heading and every row. */
export const columns =
  'grid items-center gap-x-4 grid-cols-[minmax(0,1fr)_5.5rem_2rem] sm:grid-cols-[minmax(0,1fr)_5rem_5.5rem_2rem] md:grid-cols-[minmax(0,1fr)_7rem_5rem_5rem_5.5rem_2rem] lg:grid-cols-[minmax(0,1fr)_7rem_5rem_5rem_7rem_5.5rem_2rem]';

const tones: Record<Model['status'], Tone> = {
  ready: 'ok',
  'not-yet': 'neutral',
  broken: 'danger',
  missing: 'warn',
  checking: 'neutral',
};

export function ModelRow({ model }: { model: Model }): ReactElement {
  const { t } = useTranslation();
  const go = useNavigation((place) => place.go);
  const updateSettings = useUpdateSettings();
  const [isQuantizing, setQuantizing] = useState(false);
  const canChat = model.status === 'ready' && model.capabilities.includes('chat');
  const chat = (): void => {
    updateSettings({ chatModelId: model.id });
    go({ panel: 'chat', conversationId: null });
  };
  return (
    <div role="row" className={`${columns} group border-b border-line px-4 py-2 hover:bg-hover/60`}>
      <div role="cell" className="min-w-0">
        <div className="flex min-w-0 items-center gap-2">
          {canChat ? (
            <button
              type="button"
              onClick={chat}
              title={t('models.chat')}
              className="min-w-0 truncate text-left text-sm font-medium hover:underline"
            >
              {model.name}
            </button>
          ) : (
            <span className="min-w-0 truncate text-sm font-medium">{model.name}</span>
          )}
          {model.status === 'ready' ? null : (
            <Badge tone={tones[model.status]}>{t(`models.status.${model.status}`)}</Badge>
          )}
          {model.isDemo ? <Badge tone="accent">{t('models.demo')}</Badge> : null}
        </div>
        <Facts model={model} />
        {model.problem === null ? null : <Problem model={model} />}
      </div>
      <span role="cell" className="min-w-0 truncate text-muted max-md:hidden" title={bitsTitle(model, t)}>
        {model.quantization ?? '–'}
      </span>
      <span role="cell" className="tnum text-right text-muted max-sm:hidden">
        {formatBytes(model.sizeBytes)}
      </span>
      <span role="cell" className="tnum text-right text-muted max-md:hidden">
        {model.contextLength === null ? '–' : formatNumber(model.contextLength, 0)}
      </span>
      <span role="cell" className="truncate text-muted max-lg:hidden">
        {model.capabilities.map((capability) => t(`models.capability.${capability}`)).join(', ') || '–'}
      </span>
      <span role="cell">
        {model.status === 'broken' || model.status === 'missing' ? null : <FitButton model={model} />}
      </span>
      <span role="cell">
        <RowMenu
          model={model}
          onChat={canChat ? chat : null}
          onQuantize={model.canQuantize ? () => setQuantizing(true) : null}
        />
        {model.canQuantize ? <QuantizeDialog model={model} open={isQuantizing} onOpenChange={setQuantizing} /> : null}
      </span>
    </div>
  );
}

function bitsTitle({ bitsPerWeight }: Model, t: TFunction): string | undefined {
  return bitsPerWeight === null ? undefined : t('models.bits', { value: formatNumber(bitsPerWeight, 2) });
}

/** The quiet line: what it is and where it lies. */
function Facts({ model }: { model: Model }): ReactElement {
  const { t } = useTranslation();
  const facts = [
    t(`models.kind.${model.kind ?? 'unknown'}`),
    model.architecture,
    model.parameterCount === null ? null : t('models.parameters', { value: formatCount(model.parameterCount) }),
    model.license,
  ].filter((fact) => fact !== null);
  return (
    <p className="truncate text-xs text-muted" title={model.location}>
      {facts.join(' · ')}
      <span className="max-sm:hidden"> · {model.location}</span>
    </p>
  );
}

function Problem({ model }: { model: Model }): ReactElement | null {
  useTranslation();
  if (model.problem === null) return null;
  const { message, detail, hint } = errorText(model.problem);
  const isQuiet = model.status === 'not-yet';
  return (
    <p className={`flex gap-1.5 pt-0.5 text-xs ${isQuiet ? 'text-muted' : 'text-ink'}`}>
      {isQuiet ? null : <TriangleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0 text-danger" />}
      <span className="min-w-0 wrap-anywhere">{[message, detail, hint].filter((line) => line !== null).join(' ')}</span>
    </p>
  );
}

function RowMenu({
  model,
  onChat,
  onQuantize,
}: {
  model: Model;
  onChat: (() => void) | null;
  onQuantize: (() => void) | null;
}): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  const { id: modelId, name, isDemo } = model;
  const verify = async (): Promise<void> => {
    await client.models.verify({ modelId });
    showToast({
      title: t('models.verifyStarted', { name }),
      action: { label: t('models.showJobs'), onSelect: () => go({ panel: 'jobs' }) },
    });
  };
  const remove = async (): Promise<void> => {
    await client.models.remove({ modelId });
    const undo = (): void => void client.models.restore({ modelId }).catch(showError);
    showToast({
      title: t(isDemo ? 'models.hidden' : 'models.removed', { name }),
      description: t(isDemo ? 'models.hiddenHint' : 'models.removedHint'),
      action: { label: t('common.undo'), onSelect: undo },
    });
  };
  return (
    <Menu align="end" trigger={<IconButton size="sm" label={t('models.actionsFor', { name })} icon={<Ellipsis />} />}>
      {onChat === null ? null : (
        <MenuItem icon={<MessageSquare />} onSelect={onChat}>
          {t('models.chat')}
        </MenuItem>
      )}
      <MenuItem icon={<RefreshCw />} onSelect={() => void client.models.refresh({ modelId }).catch(showError)}>
        {t('models.refresh')}
      </MenuItem>
      <MenuItem
        icon={<FileSearch />}
        onSelect={() => void verify().catch(showError)}
        disabled={model.status === 'missing'}
      >
        {t('models.verify')}
      </MenuItem>
      {onQuantize === null ? null : (
        <MenuItem icon={<Shrink />} onSelect={onQuantize}>
          {t('models.quantize.open')}
        </MenuItem>
      )}
      <MenuSeparator />
      {isDemo ? (
        <MenuItem icon={<EyeOff />} onSelect={() => void remove().catch(showError)}>
          {t('models.hide')}
        </MenuItem>
      ) : (
        <MenuItem icon={<Trash2 />} danger onSelect={() => void remove().catch(showError)}>
          {t('models.remove')}
        </MenuItem>
      )}
    </Menu>
  );
}
