/** How fast a job goes, from its last half minute. */
const windowMs = 30_000;
/** Before this much was seen, an estimate would be a guess. */
const shortestMs = 1500;
const sampleIntervalMs = 200;

export class Pace {
  readonly #now: () => number;
  #samples: { at: number; done: number }[] = [];

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Seconds until `done` is `total` at the recent pace; null while it cannot be told. */
  secondsLeft(done: number, total: number | null): number | null {
    const at = this.#now();
    const last = this.#samples.at(-1);
    if (last === undefined || at - last.at >= sampleIntervalMs) this.#samples.push({ at, done });
    this.#samples = this.#samples.filter((sample) => sample.at >= at - windowMs);
    const first = this.#samples[0];
    if (first === undefined || total === null || at - first.at < shortestMs || done <= first.done) return null;
    const perMs = (done - first.done) / (at - first.at);
    return Math.max(0, (total - done) / perMs / 1000);
  }
}
