import { FolderOpen, FolderSearch, FolderUp, Image, Plus } from 'lucide-react';
import { useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../client/context.tsx';
import { useAppInfo } from '../client/stores.ts';
import { BrowseDialog } from '../models/browse-dialog.tsx';
import { Button, Menu, MenuItem, showError } from '../ui/index.ts';
import { acceptedEndings, gatherChosen, isCaptionable } from './gather.ts';
import { useCaptionIntake } from './intake.ts';

/** The ways to bring pictures and clips: the system's dialog where there is one, else the host's disk or an upload. */
export function AddMenu({ isPrimary }: { isPrimary: boolean }): ReactElement {
  const { t } = useTranslation('caption');
  const { client } = useStudio();
  const { takeGathered, takeGrants } = useCaptionIntake();
  const canPick = useAppInfo(({ info }) => info?.canPickFiles ?? false);
  const [isBrowsing, setBrowsing] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const pick = async (purpose: 'media' | 'folder'): Promise<void> => {
    const picked = await client.files.pick({ purpose });
    if (picked !== null) await takeGrants(picked.grants.map(({ id }) => ({ grantId: id, folder: '' })));
  };
  const chosen = (input: HTMLInputElement): void => {
    const gathered = gatherChosen([...(input.files ?? [])]);
    input.value = '';
    void takeGathered(gathered);
  };
  return (
    <>
      <Menu
        align={isPrimary ? 'center' : 'end'}
        trigger={
          <Button variant={isPrimary ? 'primary' : 'secondary'} icon={<Plus />}>
            {t(isPrimary ? 'add.buttonFirst' : 'add.button')}
          </Button>
        }
      >
        <MenuItem
          icon={<Image />}
          onSelect={() => (canPick ? void pick('media').catch(showError) : files.current?.click())}
        >
          {t('add.files')}
        </MenuItem>
        <MenuItem
          icon={canPick ? <FolderOpen /> : <FolderUp />}
          onSelect={() => (canPick ? void pick('folder').catch(showError) : folder.current?.click())}
        >
          {t('add.folder')}
        </MenuItem>
        {canPick ? null : (
          <MenuItem icon={<FolderSearch />} onSelect={() => setBrowsing(true)}>
            {t('add.browse')}
          </MenuItem>
        )}
      </Menu>
      <input
        ref={files}
        type="file"
        accept={acceptedEndings}
        multiple
        hidden
        onChange={({ currentTarget }) => chosen(currentTarget)}
      />
      <input
        ref={(input) => {
          folder.current = input;
          // React's types do not know it as an attribute.
          if (input !== null) input.webkitdirectory = true;
        }}
        type="file"
        hidden
        onChange={({ currentTarget }) => chosen(currentTarget)}
      />
      <BrowseDialog
        open={isBrowsing}
        onOpenChange={setBrowsing}
        wanted={{
          title: t('add.browseTitle'),
          isWanted: ({ name, isFolder }) => isFolder || isCaptionable({ name }),
          onGrant: (grantId) => takeGrants([{ grantId, folder: '' }]),
        }}
      />
    </>
  );
}
