import type { StudioClient } from '../../contract/index.ts';
import { dialElectron, dialWebSocket, electronBridge } from './dial.ts';
import { openLink } from './link.ts';
import type { Link } from './link.ts';

export interface Studio extends Link {
  readonly host: 'electron' | 'browser';
}

export type { StudioClient };

/** Connects to main, wherever the page runs, and keeps connected. */
export function connectStudio(): Studio {
  const host = electronBridge() === null ? 'browser' : 'electron';
  return { ...openLink(host === 'electron' ? dialElectron : dialWebSocket), host };
}
