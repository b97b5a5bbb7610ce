/**
 * A transport carries frames in order, both ways, between two ends. It knows nothing of methods.
 * Frames are plain structured-clonable values; `Uint8Array` may appear anywhere inside.
 */
export interface Transport {
  /** Hands a frame to the other end. Throws nothing: after a close it is a no-op. */
  send(frame: unknown): void;
  /** Called once per received frame, in the order they were sent. Set before the first await. */
  onFrame: ((frame: unknown) => void) | null;
  /** Called once, when the other end is gone or `close` was called. */
  onClose: ((reason: string) => void) | null;
  close(reason?: string): void;
}
