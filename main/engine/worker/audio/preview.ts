/** A picture of latents while they are made: how strong each channel is over time. */
export interface Preview {
  readonly rows: number;
  readonly columns: number;
  /** 0 to 255, row by row. */
  readonly values: Uint8Array<ArrayBuffer>;
}

const mostColumns = 256;

/** `latents` is (channels, frames); null while there are none. */
export function previewOf(latents: Float32Array, frames: number): Preview | null {
  const rows = latents.length / frames;
  if (rows === 0 || !Number.isInteger(rows)) return null;
  const columns = Math.min(frames, mostColumns);
  const strengths = new Float32Array(rows * columns);
  let largest = 1e-6;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const first = Math.floor((column * frames) / columns);
      const end = Math.max(first + 1, Math.floor(((column + 1) * frames) / columns));
      let sum = 0;
      for (let at = first; at < end; at += 1) sum += Math.abs(latents[row * frames + at] ?? 0);
      const strength = sum / (end - first);
      strengths[row * columns + column] = strength;
      largest = Math.max(largest, strength);
    }
  }
  return { rows, columns, values: Uint8Array.from(strengths, (strength) => Math.round((255 * strength) / largest)) };
}
