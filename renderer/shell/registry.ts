/** What panels add to the shell while they are mounted: palette actions and keyboard shortcuts. */
import { useEffect, useEffectEvent, useId } from 'react';
import type { ReactNode } from 'react';
import { tinykeys } from 'tinykeys';
import { create } from 'zustand';

export interface PaletteAction {
  /** Unique, e.g. `chat.rename`. */
  readonly id: string;
  readonly label: string;
  readonly run: () => void;
  readonly icon?: ReactNode;
  /** Keys as `useShortcuts` takes them. Only shown here; bind them there. */
  readonly shortcut?: string;
  /** More words to be found by. */
  readonly keywords?: readonly string[];
}

export interface Shortcut {
  /** For the overview; left out there when null. */
  readonly label: string | null;
  /** Null: some control binds the keys itself, and they are only listed. */
  readonly run: (() => void) | null;
  /** Also works inside dialogs and menus. */
  readonly isGlobal?: boolean;
  /** The keys mean something else in a field, such as its own undo. */
  readonly restsWhileTyping?: boolean;
}

interface ShortcutGroup {
  readonly title: string;
  readonly shortcuts: readonly { keys: string; label: string }[];
}

interface Registry {
  readonly actions: ReadonlyMap<string, readonly PaletteAction[]>;
  readonly shortcutGroups: ReadonlyMap<string, ShortcutGroup>;
}

export const useRegistry = create<Registry>(() => ({ actions: new Map(), shortcutGroups: new Map() }));

function withEntry<Value>(map: ReadonlyMap<string, Value>, key: string, value: Value | null): Map<string, Value> {
  const next = new Map(map);
  if (value === null) next.delete(key);
  else next.set(key, value);
  return next;
}

/** Offers `actions` in the command palette while the component is mounted. They may change on each render. */
export function usePaletteActions(actions: readonly PaletteAction[]): void {
  const owner = useId();
  const runNow = useEffectEvent((id: string) => actions.find((action) => action.id === id)?.run());
  const shown = JSON.stringify(actions.map(({ id, label, shortcut, keywords }) => [id, label, shortcut, keywords]));
  const read = useEffectEvent(() => actions.map((action) => ({ ...action, run: () => runNow(action.id) })));
  useEffect(() => {
    useRegistry.setState((registry) => ({ actions: withEntry(registry.actions, owner, read()) }));
    return () => useRegistry.setState((registry) => ({ actions: withEntry(registry.actions, owner, null) }));
  }, [owner, shown]);
}

/** Fields keep the keys that write or move in them; `$mod` combinations are never among those. */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches('input, textarea, select');
}

function isInOverlay(event: KeyboardEvent): boolean {
  return (
    event.target instanceof Element && event.target.closest('[role=dialog],[role=alertdialog],[role=menu]') !== null
  );
}

/**
 * Binds keys while the component is mounted, and lists them in the overview under `title`.
 * Keys are tinykeys' (`$mod+k`, `Alt+ArrowUp`, `Escape`). Without `$mod` or `Alt` they rest while the person types.
 */
export function useShortcuts(title: string, map: Readonly<Record<string, Shortcut>>): void {
  const owner = useId();
  const runNow = useEffectEvent((keys: string, event: KeyboardEvent) => {
    const shortcut = map[keys];
    if (shortcut?.run == null || event.defaultPrevented || event.isComposing) return;
    if (isTyping(event) && (shortcut.restsWhileTyping === true || !/\$mod|Alt/u.test(keys))) return;
    if (isInOverlay(event) && shortcut.isGlobal !== true) return;
    event.preventDefault();
    shortcut.run();
  });
  const keyList = Object.keys(map)
    .filter((keys) => map[keys]?.run !== null)
    .join(' ');
  useEffect(() => {
    const bindings = keyList
      .split(' ')
      .filter((keys) => keys !== '')
      .map((keys) => [keys, (event: KeyboardEvent) => runNow(keys, event)] as const);
    return tinykeys(window, Object.fromEntries(bindings), { ignore: () => false });
  }, [keyList]);

  const listed = JSON.stringify([
    title,
    Object.entries(map).flatMap(([keys, { label }]) => (label === null ? [] : [{ keys, label }])),
  ]);
  useEffect(() => {
    const [groupTitle, shortcuts] = JSON.parse(listed) as [string, ShortcutGroup['shortcuts']];
    const group = { title: groupTitle, shortcuts };
    useRegistry.setState((registry) => ({ shortcutGroups: withEntry(registry.shortcutGroups, owner, group) }));
    return () =>
      useRegistry.setState((registry) => ({ shortcutGroups: withEntry(registry.shortcutGroups, owner, null) }));
  }, [owner, listed]);
}
