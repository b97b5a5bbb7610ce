/** JSON files of a model's folder: bounded, and named when they are wrong. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { badFile } from '../inspect/bad-file.ts';
import { parseJson } from '../inspect/safetensors.ts';

const maximumBytes = 100_000_000;

export type Json = Readonly<Record<string, unknown>>;

/** Null where there is no such file. Fails with `bad-file` when it is too large or no JSON object. */
export async function readJsonFile(folder: string, name: string): Promise<Json | null> {
  const path = join(folder, name);
  const text = await readTextFile(folder, name);
  if (text === null) return null;
  const value = parseJson(path, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badFile(path, 'it is no JSON object');
  return value as Json;
}

export async function readTextFile(folder: string, name: string): Promise<string | null> {
  const path = join(folder, name);
  const facts = await stat(path).catch(() => null);
  if (facts === null || !facts.isFile()) return null;
  if (facts.size > maximumBytes) throw badFile(path, 'it is too large');
  return readFile(path, 'utf8');
}
