import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useAppInfo } from '../client/stores.ts';
import mark from '../shell/lutra.svg';
import { Group } from './group.tsx';

export function About(): ReactElement {
  const { t } = useTranslation();
  const info = useAppInfo((state) => state.info);
  const rows =
    info === null
      ? []
      : ([
          [t('settings.version'), info.version],
          [t('settings.host'), t(`settings.hosts.${info.host}`)],
          [t('settings.platform'), { linux: 'Linux', darwin: 'macOS', win32: 'Windows' }[info.platform]],
        ] as const);
  return (
    <>
      <div className="flex items-center gap-3 pb-4">
        <img src={mark} alt="" width={40} height={40} />
        <p className="max-w-md text-muted">{t('settings.aboutBody')}</p>
      </div>
      <Group>
        {rows.map(([label, value]) => (
          <div key={label} className="flex gap-3 py-2">
            <span className="w-32 shrink-0 font-medium">{label}</span>
            <span className="text-muted">{value}</span>
          </div>
        ))}
      </Group>
    </>
  );
}
