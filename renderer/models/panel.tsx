import { Boxes, Search } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { Virtuoso } from 'react-virtuoso';
import { useFeeds } from '../client/actions.ts';
import { useAppInfo, useModels } from '../client/stores.ts';
import { Button, EmptyState, ErrorNotice, Input, PanelHeader, Spinner } from '../ui/index.ts';
import { AddModel } from './add-model.tsx';
import { ModelRow, columns } from './model-row.tsx';

/** Rows beyond which the table is drawn in part only. */
const virtualFrom = 60;

export default function ModelsPanel(): ReactElement {
  const { t } = useTranslation();
  const { status, items, error } = useModels();
  const feeds = useFeeds();
  const canPickFiles = useAppInfo(({ info }) => info?.canPickFiles ?? false);
  const [filter, setFilter] = useState('');
  const shown = useMemo(() => {
    const words = filter
      .toLowerCase()
      .split(/\s+/u)
      .filter((word) => word !== '');
    return items.filter((model) => {
      const text = [model.name, model.architecture, model.quantization, model.location].join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }, [items, filter]);

  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <PanelHeader
        title={t('models.title')}
        facts={items.length === 0 ? undefined : t('models.count', { count: items.length })}
      >
        {items.length === 0 ? null : (
          <>
            <span className="w-56">
              <Input
                type="search"
                icon={<Search />}
                value={filter}
                onValueChange={setFilter}
                placeholder={t('models.filter')}
                aria-label={t('models.filter')}
              />
            </span>
            <AddModel />
          </>
        )}
      </PanelHeader>
      {status === 'loading' ? (
        <div role="status" className="m-auto flex items-center gap-2 text-muted">
          <Spinner /> {t('models.loading')}
        </div>
      ) : status === 'failed' && error !== null ? (
        <div className="m-auto max-w-lg p-6">
          <ErrorNotice
            error={error}
            actions={<Button onClick={() => void feeds.reloadModels()}>{t('common.retry')}</Button>}
          />
        </div>
      ) : items.length === 0 ? (
        <EmptyState
          icon={<Boxes />}
          title={t('models.emptyTitle')}
          body={t(canPickFiles ? 'models.emptyBody' : 'models.emptyBodyBrowser')}
          actions={<AddModel isPrimary />}
        />
      ) : (
        <div
          role="table"
          aria-label={t('models.title')}
          aria-rowcount={shown.length + 1}
          className="flex min-h-0 flex-1 flex-col"
        >
          <div role="rowgroup">
            <div role="row" className={`${columns} border-b border-line px-4 py-1.5 text-2xs font-medium text-muted`}>
              <span role="columnheader">{t('models.column.name')}</span>
              <span role="columnheader" className="max-md:hidden">
                {t('models.column.quantization')}
              </span>
              <span role="columnheader" className="text-right max-sm:hidden">
                {t('models.column.size')}
              </span>
              <span role="columnheader" className="text-right max-md:hidden">
                {t('models.column.context')}
              </span>
              <span role="columnheader" className="max-lg:hidden">
                {t('models.column.capabilities')}
              </span>
              <span role="columnheader">{t('models.column.fit')}</span>
              <span role="columnheader" className="sr-only">
                {t('models.column.actions')}
              </span>
            </div>
          </div>
          {shown.length === 0 ? (
            <p className="p-8 text-center text-muted">{t('models.noMatch', { filter })}</p>
          ) : shown.length < virtualFrom ? (
            <div role="rowgroup" className="min-h-0 flex-1 overflow-y-auto">
              {shown.map((model) => (
                <ModelRow key={model.id} model={model} />
              ))}
            </div>
          ) : (
            <Virtuoso
              role="rowgroup"
              className="min-h-0 flex-1"
              data={shown}
              computeItemKey={(_at, model) => model.id}
              itemContent={(_at, model) => <ModelRow model={model} />}
            />
          )}
        </div>
      )}
    </div>
  );
}
