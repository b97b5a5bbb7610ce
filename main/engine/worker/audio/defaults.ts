/** What a model's own configuration asks for where a request leaves the choice open. */
import { dirname, extname } from 'node:path';
import { audioDefaultsSchema } from '../../protocol.ts';
import type { AudioDefaults } from '../../protocol.ts';
import { badFile } from '../inspect/bad-file.ts';
import { readJsonFile } from '../text/files.ts';

const fileName = 'model_config.json';

/**
 * `defaults` in the `model_config.json` of a folder, or beside a single file; nothing where there is none.
 * Fails with `bad-file` where it is not what it should be.
 */
export async function defaultsOf(path: string): Promise<AudioDefaults> {
  const folder = extname(path) === '.safetensors' ? dirname(path) : path;
  const config = await readJsonFile(folder, fileName);
  const defaults = audioDefaultsSchema.safeParse(config?.['defaults'] ?? {});
  if (defaults.success) return defaults.data;
  const field = ['defaults', ...(defaults.error.issues[0]?.path ?? [])].join('.');
  throw badFile(`${folder}/${fileName}`, `"${field}" is not accepted`);
}
