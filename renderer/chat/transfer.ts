/** Exports become downloads, a chosen JSON file an import. */
import { useCallback } from 'react';
import { useStudio } from '../client/context.tsx';
import { saveFile } from '../client/save-file.ts';
import { showError } from '../ui/index.ts';

/** Null exports all. */
export function useExport(): (conversationId: string | null, format: 'markdown' | 'json') => void {
  const { client } = useStudio();
  return useCallback(
    (conversationId, format) => {
      client.chat.exportChats({ conversationId, format }).then(saveFile, showError);
    },
    [client],
  );
}
