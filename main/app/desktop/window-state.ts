/** Where the window was, kept beside the data; brought back only to where a display still is. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const boundsSchema = z.object({
  x: z.number().int(),
  y: z.number().int(),
  width: z.number().int().min(400).max(20_000),
  height: z.number().int().min(300).max(20_000),
});
/** In device-independent pixels. */
export type Bounds = z.infer<typeof boundsSchema>;

const windowStateSchema = z.object({ bounds: boundsSchema.nullable(), isMaximized: z.boolean() });
export type WindowState = z.infer<typeof windowStateSchema>;

const fileName = 'window.json';
/** This much of the window must be on a display, so that its title bar can be grabbed. */
const leastVisible = { width: 100, height: 40 };

/** A state that is missing, broken or off every display is a fresh one. */
export function readWindowState(dataFolder: string, displays: readonly Bounds[]): WindowState {
  try {
    const state = windowStateSchema.parse(JSON.parse(readFileSync(join(dataFolder, fileName), 'utf8')));
    const { bounds } = state;
    return bounds !== null && displays.some((display) => isReachable(bounds, display))
      ? state
      : { ...state, bounds: null };
  } catch {
    return { bounds: null, isMaximized: false };
  }
}

/** Written while the window closes, hence at once. A full disk costs the position only. */
export function writeWindowState(dataFolder: string, state: WindowState): void {
  try {
    writeFileSync(join(dataFolder, fileName), JSON.stringify(state));
  } catch {
    // The window opens in the middle next time.
  }
}

/** The top of the window can be seen, and grabbed, on that display. */
function isReachable(window: Bounds, display: Bounds): boolean {
  const width = Math.min(window.x + window.width, display.x + display.width) - Math.max(window.x, display.x);
  const isTopInside = window.y >= display.y && window.y + leastVisible.height <= display.y + display.height;
  return width >= leastVisible.width && isTopInside;
}
