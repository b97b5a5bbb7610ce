/** Output that goes in circles: the same stretch of tokens again and again. */

/** A stretch of at most so many tokens is looked for. */
const longestPeriod = 64;
/** So often it must have come in a row, … */
const leastRepeats = 4;
/** … and so many tokens all that must be: "very, very, very, very" is no loop. */
const leastTokens = 24;

export class LoopDetector {
  readonly #ids: number[] = [];

  /** True once what was written last is a loop. */
  add(id: number): boolean {
    this.#ids.push(id);
    return this.period() > 0;
  }

  /** Length of the stretch that is repeated at the end; 0 where there is none. */
  period(): number {
    const ids = this.#ids;
    for (let period = 1; period <= longestPeriod; period += 1) {
      const needed = Math.max(leastRepeats * period, leastTokens);
      if (needed > ids.length) continue;
      let run = 0;
      while (run < needed && ids[ids.length - 1 - run] === ids[ids.length - 1 - run - period]) run += 1;
      if (run >= needed - period) return period;
    }
    return 0;
  }

  /** How many of the tokens stand before the loop, its first round included. */
  sensible(): number {
    const ids = this.#ids;
    const period = this.period();
    if (period === 0) return ids.length;
    let first = ids.length - period;
    while (first > 0 && ids[first - 1] === ids[first - 1 + period]) first -= 1;
    return Math.min(ids.length, first + period);
  }
}
