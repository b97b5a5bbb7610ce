import type { ReactElement } from 'react';
import { cx } from './cx.ts';

const isApple = typeof navigator !== 'undefined' && /mac|iphone|ipad/iu.test(navigator.platform);

const appleNames: Record<string, string> = { $mod: '⌘', Shift: '⇧', Alt: '⌥', Control: '⌃' };
const otherNames: Record<string, string> = { $mod: 'Ctrl', Control: 'Ctrl' };
const sharedNames: Record<string, string> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
  Comma: ',',
  Slash: '/',
};

/** `$mod+Shift+KeyK` as a person on this system reads it: `["Ctrl", "Shift", "K"]`. */
export function keyNames(keys: string): string[] {
  const shown = keys.split('+').filter((key) => !key.startsWith('['));
  return shown.map((key) => {
    const name = (isApple ? appleNames : otherNames)[key] ?? sharedNames[key];
    if (name !== undefined) return name;
    const plain = key.replace(/^(?:Key|Digit)(?=.$)/u, '');
    return plain.length === 1 ? plain.toUpperCase() : plain;
  });
}

/** Shows a shortcut written the way `useShortcuts` takes it. */
export function Kbd({ keys, className }: { keys: string; className?: string }): ReactElement {
  return (
    <kbd className={cx('inline-flex gap-0.5 font-sans text-2xs text-faint', className)}>
      {keyNames(keys).map((name) => (
        <span key={name} className="min-w-4 rounded border border-line px-1 text-center leading-4">
          {name}
        </span>
      ))}
    </kbd>
  );
}
