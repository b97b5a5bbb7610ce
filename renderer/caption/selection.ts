/** Which pictures are chosen, as lists of files work everywhere. Positions are those in the list as it is filtered. */
export interface Selection {
  /** The one that is shown large and that keys act from; null in an empty list. */
  readonly activeId: string | null;
  /** Where a range began. */
  readonly anchorId: string | null;
  readonly selected: ReadonlySet<string>;
}

export const noSelection: Selection = { activeId: null, anchorId: null, selected: new Set() };

/** `toggle`: with Ctrl; `extend`: with Shift. */
export type SelectHow = 'only' | 'toggle' | 'extend';

export function only(id: string): Selection {
  return { activeId: id, anchorId: id, selected: new Set([id]) };
}

export function select(selection: Selection, ids: readonly string[], id: string, how: SelectHow): Selection {
  if (how === 'only') return only(id);
  if (how === 'toggle') {
    const selected = new Set(selection.selected);
    if (selected.has(id)) selected.delete(id);
    else selected.add(id);
    return { activeId: id, anchorId: id, selected };
  }
  const anchorId = selection.anchorId ?? selection.activeId ?? id;
  const [from, to] = [ids.indexOf(anchorId), ids.indexOf(id)];
  if (from < 0 || to < 0) return only(id);
  return { activeId: id, anchorId, selected: new Set(ids.slice(Math.min(from, to), Math.max(from, to) + 1)) };
}

export function selectAll(selection: Selection, ids: readonly string[]): Selection {
  return { ...selection, selected: new Set(ids) };
}

/** Where a key leads in a grid of `columns`; null for keys that do not move. */
export function movedIndex(key: string, index: number, count: number, columns: number, rows: number): number | null {
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -columns * rows,
    PageDown: columns * rows,
    Home: -Infinity,
    End: Infinity,
  };
  const step = steps[key];
  if (step === undefined || count === 0) return null;
  if (index < 0) return 0;
  const target = index + step;
  // In the first or last row an arrow up or down stays where it is rather than jump to another column.
  if ((key === 'ArrowUp' && target < 0) || (key === 'ArrowDown' && target >= count && isLastRow(index, count, columns)))
    return index;
  return Math.min(count - 1, Math.max(0, target));
}

function isLastRow(index: number, count: number, columns: number): boolean {
  return Math.floor(index / columns) === Math.floor((count - 1) / columns);
}

/** After the list changed: what is gone is not selected any more; of the shown one its next neighbour follows. */
export function keepSelection(selection: Selection, before: readonly string[], now: readonly string[]): Selection {
  const there = new Set(now);
  const { activeId, anchorId } = selection;
  if (activeId === null) return now[0] === undefined ? noSelection : only(now[0]);
  const selected = new Set([...selection.selected].filter((id) => there.has(id)));
  if (there.has(activeId)) {
    return { activeId, anchorId: anchorId !== null && there.has(anchorId) ? anchorId : activeId, selected };
  }
  const at = before.indexOf(activeId);
  const next =
    before.slice(at + 1).find((id) => there.has(id)) ??
    before.slice(0, Math.max(0, at)).findLast((id) => there.has(id));
  const follower = next ?? now[0];
  return follower === undefined ? noSelection : only(follower);
}
