import { basename } from 'node:path';
import { LutraError } from '../../../../contract/errors.ts';

/** A file that is damaged, hostile, or not what it says. `what` completes "name: …". */
export function badFile(path: string, what: string, hint = 'Get the file again from where it came from.'): LutraError {
  return new LutraError({ code: 'bad-file', message: `${basename(path)}: ${what}.`, hint, subject: path });
}
