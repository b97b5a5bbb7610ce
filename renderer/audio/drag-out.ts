/** A take dragged out of the window to another program, as a WAV file with its settings. */
import { useEffect, useRef } from 'react';
import type { DragEvent } from 'react';
import type { AudioTake } from '../../contract/audio.ts';
import { useStudio } from '../client/context.tsx';

const format = { format: 'wav', bitDepth: 24, normalize: 'safe' } as const;
/** A pointer that only passes by fetches nothing. */
const restingMs = 150;

interface DragOut {
  readonly draggable: true;
  readonly onPointerEnter: () => void;
  readonly onPointerLeave: () => void;
  readonly onDragStart: (event: DragEvent) => void;
}

/** For the element that is dragged. The file must be at hand when the drag begins, so resting on it fetches it. */
export function useDragOut({ id: takeId, name: takeName }: AudioTake): DragOut {
  const { client } = useStudio();
  const file = useRef<{ readonly name: string; readonly address: string } | null>(null);
  const resting = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(
    () => () => {
      clearTimeout(resting.current);
      if (file.current !== null) URL.revokeObjectURL(file.current.address);
      file.current = null;
    },
    [takeId, takeName],
  );
  const fetchFile = async (): Promise<void> => {
    const { name, bytes } = await client.audio.file({ takeId, format, region: null, template: '{name}' });
    const address = URL.createObjectURL(new Blob([Uint8Array.from(bytes)], { type: 'audio/wav' }));
    if (file.current !== null) URL.revokeObjectURL(file.current.address);
    file.current = { name, address };
  };
  return {
    draggable: true,
    onPointerEnter: () => {
      if (file.current !== null) return;
      // What fails here is told where it matters: nothing is dragged.
      resting.current = setTimeout(() => void fetchFile().catch(() => undefined), restingMs);
    },
    onPointerLeave: () => clearTimeout(resting.current),
    onDragStart: (event) => {
      if (file.current === null) {
        event.preventDefault();
        return;
      }
      event.dataTransfer.effectAllowed = 'copy';
      event.dataTransfer.setData('DownloadURL', `audio/wav:${file.current.name}:${file.current.address}`);
    },
  };
}
