import { BookOpen, Eye, FolderOpen, FolderSearch, HardDriveUpload, File as FileIcon, Plus } from 'lucide-react';
import { useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../client/context.tsx';
import { useIntake } from '../client/intake.ts';
import { useNavigation } from '../client/navigation.ts';
import { useAppInfo } from '../client/stores.ts';
import { Button, Menu, MenuItem, MenuSeparator, showError, showToast } from '../ui/index.ts';
import { BrowseDialog } from './browse-dialog.tsx';

/** The ways to point Lutra to models: the system's dialog where there is one, else the host's disk or an upload. */
export function AddModel({ isPrimary = false }: { isPrimary?: boolean }): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { takeFiles, addGrant } = useIntake();
  const canPickFiles = useAppInfo(({ info }) => info?.canPickFiles ?? false);
  const go = useNavigation((place) => place.go);
  const [isBrowsing, setBrowsing] = useState(false);
  const upload = useRef<HTMLInputElement>(null);
  const pick = async (purpose: 'model-file' | 'model-folder'): Promise<void> => {
    const picked = await client.files.pick({ purpose });
    for (const grant of picked?.grants ?? []) await addGrant(grant.id);
  };
  const showDemos = async (): Promise<void> => {
    await client.models.showDemos({});
    showToast({ title: t('models.demosShown') });
  };
  return (
    <>
      <Menu
        align={isPrimary ? 'center' : 'end'}
        trigger={
          <Button variant="primary" icon={<Plus />}>
            {t('models.add')}
          </Button>
        }
      >
        {canPickFiles ? (
          <>
            <MenuItem icon={<FileIcon />} onSelect={() => void pick('model-file').catch(showError)}>
              {t('models.addFile')}
            </MenuItem>
            <MenuItem icon={<FolderOpen />} onSelect={() => void pick('model-folder').catch(showError)}>
              {t('models.addFolder')}
            </MenuItem>
          </>
        ) : (
          <>
            <MenuItem icon={<FolderSearch />} onSelect={() => setBrowsing(true)}>
              {t('models.addBrowse')}
            </MenuItem>
            <MenuItem icon={<HardDriveUpload />} onSelect={() => upload.current?.click()}>
              {t('models.addUpload')}
            </MenuItem>
          </>
        )}
        <MenuSeparator />
        <MenuItem icon={<Eye />} onSelect={() => void showDemos().catch(showError)}>
          {t('models.showDemos')}
        </MenuItem>
        <MenuItem icon={<BookOpen />} onSelect={() => go({ panel: 'weights' })}>
          {t('models.where')}
        </MenuItem>
      </Menu>
      <input
        ref={upload}
        type="file"
        accept=".gguf"
        multiple
        hidden
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          void takeFiles(files);
        }}
      />
      <BrowseDialog open={isBrowsing} onOpenChange={setBrowsing} />
    </>
  );
}
