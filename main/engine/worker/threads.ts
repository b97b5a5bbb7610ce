/** Below this, layers are done before several threads have met. */
const tinyBytes = 64 * 2 ** 20;

/**
 * Threads for a model of that size where nobody chose a number; 0 stands for all cores. Those that wait for each other
 * between the small steps of a tiny model spin, which on a busy machine makes it many times slower.
 */
export function threadsFor(chosen: number | null, weightBytes: number): number {
  return chosen ?? (weightBytes < tinyBytes ? 1 : 0);
}
