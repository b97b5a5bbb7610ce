import type { ReactElement } from 'react';
import { useNavigation } from '../client/navigation.ts';
import { useModels } from '../client/stores.ts';
import type { Capability } from '../../contract/models.ts';
import { formatBytes } from '../i18n/format.ts';
import { Button } from '../ui/index.ts';
import { useTranslation } from 'react-i18next';

/** For panels whose models cannot run yet: which ones were recognised, and the way to add some. */
export function RecognisedModels({
  capability,
  heading,
  none,
}: {
  capability: Capability;
  heading: string;
  none: string;
}): ReactElement {
  const { t } = useTranslation();
  const go = useNavigation((place) => place.go);
  const all = useModels(({ items }) => items);
  const models = all.filter(({ capabilities }) => capabilities.includes(capability));
  return (
    <div className="flex flex-col items-center gap-3 pt-3">
      {models.length === 0 ? (
        <p className="text-xs text-muted">{none}</p>
      ) : (
        <div className="w-full text-left">
          <h3 className="pb-1 text-xs font-semibold text-muted">{heading}</h3>
          <ul className="divide-y divide-line border-y border-line">
            {models.map(({ id, name, sizeBytes }) => (
              <li key={id} className="flex gap-4 py-1.5 text-sm text-ink">
                <span className="min-w-0 flex-1 truncate">{name}</span>
                <span className="tnum text-muted">{formatBytes(sizeBytes)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <Button onClick={() => go({ panel: 'models' })}>{t('models.add')}</Button>
    </div>
  );
}
