import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  keepSelection,
  movedIndex,
  noSelection,
  only,
  select,
  selectAll,
} from '../../../renderer/caption/selection.ts';

const ids = ['a', 'b', 'c', 'd', 'e'];
const chosen = ({ selected }: { selected: ReadonlySet<string> }): string => [...selected].join('');

describe('choosing', () => {
  test('one lets the others go; Ctrl adds and takes away; Shift takes all between', () => {
    let selection = select(only('a'), ids, 'c', 'only');
    expect(chosen(selection)).toBe('c');
    selection = select(selection, ids, 'e', 'toggle');
    expect(chosen(selection)).toBe('ce');
    selection = select(selection, ids, 'c', 'toggle');
    expect(chosen(selection)).toBe('e');
    selection = select(only('b'), ids, 'd', 'extend');
    expect(chosen(selection)).toBe('bcd');
    expect(selection.activeId).toBe('d');
    // The range turns about where it began.
    selection = select(selection, ids, 'a', 'extend');
    expect(chosen(selection)).toBe('ab');
    expect(chosen(selectAll(selection, ids))).toBe('abcde');
  });

  test('survives a list that is read again; of what is gone the next one is shown', () => {
    const selection = { activeId: 'c', anchorId: 'b', selected: new Set(['b', 'c']) };
    expect(keepSelection(selection, ids, ids)).toEqual(selection);
    expect(keepSelection(selection, ids, ['a', 'b', 'd'])).toEqual(only('d'));
    expect(keepSelection(only('e'), ids, ['a', 'b'])).toEqual(only('b'));
    expect(keepSelection(only('e'), ids, [])).toEqual(noSelection);
    expect(keepSelection(noSelection, [], ids)).toEqual(only('a'));
    expect(chosen(keepSelection(selection, ids, ['a', 'c']))).toBe('c');
  });
});

describe('keys in a grid', () => {
  test('move by a row and by a column, and stay inside', () => {
    // 0 1 2 / 3 4 5 / 6 7
    const move = (key: string, index: number): number | null => movedIndex(key, index, 8, 3, 2);
    expect(move('ArrowRight', 2)).toBe(3);
    expect(move('ArrowDown', 1)).toBe(4);
    expect(move('ArrowDown', 5)).toBe(7);
    expect(move('ArrowDown', 7)).toBe(7);
    expect(move('ArrowUp', 1)).toBe(1);
    expect(move('ArrowLeft', 0)).toBe(0);
    expect(move('Home', 5)).toBe(0);
    expect(move('End', 0)).toBe(7);
    expect(move('PageDown', 0)).toBe(6);
    expect(move('x', 3)).toBeNull();
    expect(movedIndex('ArrowDown', -1, 8, 3, 2)).toBe(0);
    expect(movedIndex('ArrowDown', -1, 0, 3, 2)).toBeNull();
  });

  test('always lead to something that is there', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End'),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(),
        (key, count, columns, from) => {
          const target = movedIndex(key, from % count, count, columns, 3);
          expect(target !== null && target >= 0 && target < count).toBe(true);
        },
      ),
    );
  });
});
