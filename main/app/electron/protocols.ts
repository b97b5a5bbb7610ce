/** The two schemes of our own: `file:` and `http:` are never used. */
import type { CustomScheme, Protocol } from 'electron';
import type { ResolvedGrant } from '../../files/service.ts';
import { answerMedia, answerPage } from '../desktop/answers.ts';

const privileges = { standard: true, secure: true, supportFetchAPI: true, stream: true } as const;
export const schemes: CustomScheme[] = [
  { scheme: 'app', privileges: { ...privileges, codeCache: true } },
  { scheme: 'media', privileges },
];

export interface ProtocolOptions {
  readonly pageFolder: string;
  readonly resolveGrant: (grantId: string) => ResolvedGrant;
}

export function handleProtocols(protocol: Protocol, { pageFolder, resolveGrant }: ProtocolOptions): void {
  protocol.handle('app', (request) => answerPage(pageFolder, request));
  protocol.handle('media', (request) => answerMedia(resolveGrant, request));
}
