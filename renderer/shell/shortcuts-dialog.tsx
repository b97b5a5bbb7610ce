import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { Dialog, Kbd } from '../ui/index.ts';
import { useRegistry } from './registry.ts';

export function ShortcutsDialog({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}): ReactElement {
  const { t } = useTranslation();
  const groups = useRegistry(({ shortcutGroups }) => shortcutGroups);
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={t('shortcuts.title')}>
      <div className="flex flex-col gap-4">
        {[...groups.entries()].map(([owner, { title, shortcuts }]) =>
          shortcuts.length === 0 ? null : (
            <section key={owner}>
              <h3 className="pb-1 text-xs font-semibold text-muted">{title}</h3>
              <dl className="grid grid-cols-[1fr_auto] gap-y-1">
                {shortcuts.map(({ keys, label }) => (
                  <div
                    key={keys}
                    className="col-span-2 grid grid-cols-subgrid items-center border-b border-line py-1 last:border-0"
                  >
                    <dt>{label}</dt>
                    <dd>
                      <Kbd keys={keys} className="text-muted" />
                    </dd>
                  </div>
                ))}
              </dl>
            </section>
          ),
        )}
        <p className="text-xs text-muted">
          F6 · {t('shortcuts.notices')}; Esc · {t('shortcuts.close')}
        </p>
      </div>
    </Dialog>
  );
}
