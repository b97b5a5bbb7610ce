/** Files that are whole or not there. */
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LutraError, toErrorData } from '../../contract/errors.ts';

/** There is the whole file afterwards, or what was there before. Fails with `file-access` or `disk-full`. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.part`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    const { code, hint = 'Choose another folder.' } = toErrorData(thrown);
    throw new LutraError(
      {
        code: code === 'internal' ? 'file-access' : code,
        message: `"${basename(path)}" cannot be written.`,
        hint,
        subject: path,
      },
      { cause: thrown },
    );
  }
}
