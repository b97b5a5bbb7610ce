/** Exports become downloads, a chosen JSON file an import. */
import { useCallback } from 'react';
import { useStudio } from '../client/context.tsx';
import { showError } from '../ui/index.ts';

export function saveFile({
  fileName,
  mimeType,
  bytes,
}: {
  fileName: string;
  mimeType: string;
  bytes: Uint8Array;
}): void {
  const url = URL.createObjectURL(new Blob([Uint8Array.from(bytes)], { type: mimeType }));
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

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
