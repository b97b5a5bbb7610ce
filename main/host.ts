/** What the studio needs from whatever runs it: Electron, or plain Node. Services never import `electron`. */
import type { PickPurpose } from '../contract/files.ts';
import type { Transport } from '../contract/rpc/transport.ts';

export interface Host {
  readonly kind: 'electron' | 'headless';
  readonly version: string;
  /** Opens the system's file dialog; null where there is none. */
  readonly pickFiles: ((purpose: PickPurpose) => Promise<readonly string[] | null>) | null;
  /** Opens an address that was already checked to be http(s); null where there is no browser to open. */
  readonly openExternal: ((url: string) => Promise<void>) | null;
  /** Starts the engine process. */
  readonly spawnEngine: SpawnEngine;
}

export interface EngineProcess {
  readonly pid: number;
  readonly transport: Transport;
  /** Ends it at once. */
  kill(): void;
  /** Called once. `signal` or `code` is null as in Node's `exit` event; `log` is the end of its stderr. */
  onExit: ((exit: { code: number | null; signal: string | null; log: string }) => void) | null;
}

export type SpawnEngine = (options: { readonly env: Readonly<Record<string, string>> }) => Promise<EngineProcess>;
