/** Finds what looks like a model under a folder. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isLaterPiece } from './gguf.ts';

const deepest = 12;

export type ModelForm = 'gguf' | 'hf' | 'diffusers' | 'stable-audio' | 'safetensors' | 'pickle' | 'unknown';

/** By names only; nothing is opened. */
export async function formOf(path: string): Promise<ModelForm> {
  const stats = await stat(path);
  const name = basename(path).toLowerCase();
  if (stats.isDirectory()) return folderForm(await readdir(path));
  if (name.endsWith('.gguf')) return 'gguf';
  if (/\.(bin|pt|pth|ckpt|pkl)$/.test(name)) return 'pickle';
  if (!name.endsWith('.safetensors')) return 'unknown';
  const siblings = await readdir(dirname(path));
  return siblings.includes('model_config.json') && !siblings.includes('config.json') ? 'stable-audio' : 'safetensors';
}

function folderForm(names: readonly string[]): ModelForm {
  if (names.includes('model_index.json')) return 'diffusers';
  if (names.includes('config.json')) return 'hf';
  return names.includes('model_config.json') ? 'stable-audio' : 'unknown';
}

/** The path of the model that `path` is or belongs to, and every model under it when it is a folder. */
export async function* discover(path: string, signal: AbortSignal): AsyncGenerator<{ path: string }> {
  const stats = await stat(path);
  if (stats.isDirectory()) yield* discoverUnder(path, signal, deepest);
  else yield { path: await ownerOf(path) };
}

/** A file of a Hugging Face or diffusers folder stands for the folder, a later piece for the first one. */
async function ownerOf(path: string): Promise<string> {
  const form = await formOf(path);
  if (form === 'safetensors') {
    const folder = dirname(path);
    const own = folderForm(await readdir(folder));
    if (own === 'hf') {
      const above = dirname(folder);
      const isPart = folderForm(await readdir(above).catch(() => [])) === 'diffusers';
      return isPart ? above : folder;
    }
  }
  if (isLaterPiece(basename(path))) return path.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, '-00001$1');
  return path;
}

async function* discoverUnder(folder: string, signal: AbortSignal, depth: number): AsyncGenerator<{ path: string }> {
  if (signal.aborted) return;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.map(({ name }) => name);
  for (const { name } of entries) {
    if (/\.gguf$/i.test(name) && !isLaterPiece(name)) yield { path: join(folder, name) };
  }
  const form = folderForm(names);
  const weights = names.filter((name) => name.endsWith('.safetensors'));
  if (
    form === 'diffusers' ||
    (form === 'hf' && (weights.length > 0 || names.some((name) => /\.(bin|pt)$/.test(name))))
  ) {
    yield { path: folder };
    return;
  }
  if (names.includes('model_config.json')) {
    for (const name of weights) yield { path: join(folder, name) };
  }
  if (depth === 0) return;
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') {
      yield* discoverUnder(join(folder, entry.name), signal, depth - 1);
    }
  }
}
