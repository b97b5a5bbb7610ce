/** Hands a page its one port, and takes the files that a person gave it. Only our own top frame is answered. */
import type { IpcMain } from 'electron';
import { MessageChannelMain } from 'electron';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { toErrorData } from '../../../contract/errors.ts';
import type { GrantAnswer } from '../../../contract/files.ts';
import { messagePortTransport } from '../../../contract/rpc/message-port.ts';
import type { Studio } from '../../studio.ts';
import { isOwnFrame } from '../desktop/origin.ts';

const longestPath = 32_768;
const pathSchema = z.string().min(1).max(longestPath);

export function handlePorts(ipc: IpcMain, studio: Pick<Studio, 'serve' | 'files'>, page: string): void {
  /** By web contents: a page that asks again has reloaded or lost its port. */
  const ends = new Map<number, () => void>();
  ipc.on('lutra:connect', ({ senderFrame, sender }) => {
    if (!isOwnFrame(senderFrame, page)) return;
    const { id } = sender;
    if (ends.has(id)) ends.get(id)?.();
    else sender.once('destroyed', () => ends.get(id)?.());
    const { port1, port2 } = new MessageChannelMain();
    ends.set(id, studio.serve(messagePortTransport(port1), randomUUID()));
    senderFrame.postMessage('lutra:port', null, [port2]);
  });
  ipc.handle('lutra:grant', async ({ senderFrame }, path: unknown): Promise<GrantAnswer> => {
    if (!isOwnFrame(senderFrame, page)) throw new Error('Only the studio may do that.');
    const parsed = pathSchema.safeParse(path);
    if (!parsed.success)
      return { error: { code: 'bad-input', message: 'That file does not lie on a disk.', subject: 'path' } };
    try {
      return { grant: await studio.files.grant(parsed.data) };
    } catch (thrown) {
      return { error: toErrorData(thrown) };
    }
  });
}
