import { Boxes, CornerLeftUp, File as FileIcon, Folder } from 'lucide-react';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { Virtuoso } from 'react-virtuoso';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { StudioClient } from '../client/studio.ts';
import { useStudio } from '../client/context.tsx';
import { useIntake } from '../client/intake.ts';
import { Badge, Button, Dialog, ErrorNotice, IconButton, Input, showError } from '../ui/index.ts';

type Listing = Awaited<ReturnType<StudioClient['files']['browse']>>;

export interface BrowseDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** What is looked for, where that is not models. */
  wanted?: {
    readonly title: string;
    readonly isWanted: (entry: Listing['entries'][number]) => boolean;
    readonly onGrant: (grantId: string) => Promise<void>;
  };
}

/** Walks the disk of the machine that runs Lutra. */
export function BrowseDialog({ open, onOpenChange, wanted }: BrowseDialogProps): ReactElement {
  const { t } = useTranslation();
  const { client } = useStudio();
  const { addGrant } = useIntake();
  const isWanted = wanted?.isWanted ?? (({ looksLikeModel }: Listing['entries'][number]) => looksLikeModel);
  const [listing, setListing] = useState<Listing | null>(null);
  const [path, setPath] = useState('');
  const [error, setError] = useState<ErrorData | null>(null);
  const [isAdding, setAdding] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  // A listing that arrives late must not replace what was typed meanwhile.
  const typed = useRef(0);

  const show = useCallback(
    async (folder: string | null) => {
      const typedBefore = typed.current;
      try {
        const next = await client.files.browse({ path: folder });
        setListing(next);
        if (typed.current === typedBefore) setPath(next.path);
        setError(null);
      } catch (thrown) {
        setError(toErrorData(thrown));
      }
    },
    [client],
  );
  useEffect(() => {
    if (open && listing === null) void show(null);
  }, [open, listing, show]);

  const add = async (chosen: string): Promise<void> => {
    setAdding(true);
    try {
      const grant = await client.files.grantPath({ path: chosen });
      await (wanted?.onGrant ?? addGrant)(grant.id);
      onOpenChange(false);
    } catch (thrown) {
      showError(thrown);
    } finally {
      setAdding(false);
    }
  };

  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={wanted?.title ?? t('models.browse.title')}
      description={t('models.browse.pathHint')}
      size="lg"
      initialFocus={input}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('common.cancel')}</Button>
          <Button variant="primary" isBusy={isAdding} disabled={path.trim() === ''} onClick={() => void add(path)}>
            {path === listing?.path ? t('models.browse.addThis') : t('models.browse.add')}
          </Button>
        </>
      }
    >
      <form
        className="flex gap-2 pb-2"
        onSubmit={(event) => {
          event.preventDefault();
          void show(path);
        }}
      >
        <IconButton
          label={t('models.browse.up')}
          icon={<CornerLeftUp />}
          variant="secondary"
          disabled={listing?.parent == null}
          onClick={() => void show(listing?.parent ?? null)}
        />
        <Input
          ref={input}
          value={path}
          onValueChange={(value) => {
            typed.current += 1;
            setPath(value);
          }}
          aria-label={t('models.browse.path')}
          spellCheck={false}
        />
        <Button type="submit">{t('models.browse.open')}</Button>
      </form>
      {error === null ? null : <ErrorNotice error={error} className="mb-2" />}
      {listing === null ? null : listing.entries.length === 0 ? (
        <p className="py-10 text-center text-muted">{t('models.browse.empty')}</p>
      ) : (
        <div className="h-[40vh] overflow-hidden rounded-md border border-line">
          <Virtuoso
            key={listing.path}
            aria-label={t('models.browse.entries')}
            data={listing.entries}
            itemContent={(_at, entry) => (
              <div className="flex items-center gap-2 border-b border-line px-2 py-0.5">
                <button
                  type="button"
                  disabled={!entry.isFolder && !isWanted(entry)}
                  onClick={() => void (entry.isFolder ? show(entry.path) : add(entry.path))}
                  className="flex h-7 min-w-0 flex-1 items-center gap-2 rounded-md px-1 text-left enabled:hover:bg-hover disabled:text-faint [&_svg]:size-4 [&_svg]:shrink-0"
                >
                  {entry.isFolder ? (
                    entry.looksLikeModel ? (
                      <Boxes aria-hidden className="text-accent-ink" />
                    ) : (
                      <Folder aria-hidden className="text-muted" />
                    )
                  ) : (
                    <FileIcon aria-hidden className="text-faint" />
                  )}
                  <span className="truncate">{entry.name}</span>
                  {entry.looksLikeModel ? <Badge tone="accent">{t('models.browse.model')}</Badge> : null}
                </button>
                {isWanted(entry) ? (
                  <Button
                    size="sm"
                    aria-label={`${t('models.browse.add')}: ${entry.name}`}
                    onClick={() => void add(entry.path)}
                  >
                    {t('models.browse.add')}
                  </Button>
                ) : null}
              </div>
            )}
          />
        </div>
      )}
    </Dialog>
  );
}
