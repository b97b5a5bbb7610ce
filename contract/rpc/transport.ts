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

/** Frames of the call protocol. `id` is chosen by the caller and is unique within a connection. */
export type Frame =
  | { t: 'call'; id: number; method: string; input: unknown }
  | { t: 'open'; id: number; method: string; input: unknown; credit: number }
  | { t: 'result'; id: number; output: unknown }
  | { t: 'event'; id: number; event: unknown }
  | { t: 'end'; id: number }
  | { t: 'error'; id: number; error: unknown }
  | { t: 'cancel'; id: number }
  /** The reader of a stream allows `n` further events: back-pressure. */
  | { t: 'credit'; id: number; n: number };
