/** Headers of safetensors files, read strictly: enough to tell what a model is and that the file is whole. */
import { open, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { badFile } from './bad-file.ts';

export interface TensorInfo {
  readonly dtype: string;
  readonly shape: readonly number[];
}

const maximumHeaderBytes = 100_000_000;
const maximumIndexBytes = 200_000_000;

const bitsOf: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
};

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()).max(64),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());

/** Every tensor of one file, by name. Fails with `bad-file`. */
export async function readSafetensors(path: string): Promise<Map<string, TensorInfo>> {
  const { size } = await stat(path);
  const text = await headerText(path, size);
  const dataBytes = size - 8 - text.length;
  const header = headerSchema.safeParse(parseJson(path, text.toString('utf8')));
  if (!header.success) throw badFile(path, 'its header is no JSON object');
  const tensors = new Map<string, TensorInfo>();
  const spans: { name: string; from: number; to: number }[] = [];
  for (const [name, value] of Object.entries(header.data)) {
    if (name === '__metadata__') continue;
    const entry = entrySchema.safeParse(value);
    if (!entry.success) throw badFile(path, `its tensor "${name}" is described wrongly`);
    const { dtype, shape, data_offsets: offsets } = entry.data;
    const bits = bitsOf[dtype];
    if (bits === undefined) throw badFile(path, `its tensor "${name}" has the unknown type ${dtype}`);
    const wanted = (shape.reduce((product, length) => product * length, 1) * bits) / 8;
    if (!Number.isSafeInteger(wanted) || offsets[1] - offsets[0] !== wanted || offsets[1] > dataBytes) {
      throw badFile(path, `its tensor "${name}" does not fit into the file: it is cut or damaged`);
    }
    tensors.set(name, { dtype, shape });
    spans.push({ name, from: offsets[0], to: offsets[1] });
  }
  requireNoGaps(path, spans, dataBytes);
  return tensors;
}

function requireNoGaps(path: string, spans: { name: string; from: number; to: number }[], dataBytes: number): void {
  let end = 0;
  for (const { name, from, to } of spans.sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end) throw badFile(path, `its tensor "${name}" overlaps another or leaves a gap`);
    end = to;
  }
  if (end !== dataBytes) throw badFile(path, 'it has bytes that belong to no tensor');
}

async function headerText(path: string, size: number): Promise<Buffer> {
  if (size < 8) throw badFile(path, 'the file is too short');
  const file = await open(path, 'r');
  try {
    const lengthBytes = Buffer.alloc(8);
    await file.read(lengthBytes, 0, 8, 0);
    const length = lengthBytes.readBigUInt64LE();
    if (length > BigInt(Math.min(maximumHeaderBytes, size - 8))) {
      throw badFile(path, 'its header is longer than the file, or the file is no safetensors file');
    }
    const text = Buffer.alloc(Number(length));
    await file.read(text, 0, text.length, 8);
    return text;
  } finally {
    await file.close();
  }
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** The files that an index names, all beside it. Fails with `bad-file` where one is missing or elsewhere. */
export async function shardsOf(indexPath: string): Promise<string[]> {
  const { size } = await stat(indexPath);
  if (size > maximumIndexBytes) throw badFile(indexPath, 'it is too large for an index');
  const parsed = indexSchema.safeParse(parseJson(indexPath, await readFile(indexPath, 'utf8')));
  if (!parsed.success) throw badFile(indexPath, 'it has no "weight_map" of names');
  const names = [...new Set(Object.values(parsed.data.weight_map))].sort();
  for (const name of names) {
    if (name !== basename(name) || name.includes('\\') || name === '..' || !name.endsWith('.safetensors')) {
      throw badFile(indexPath, `it names a file outside its folder ("${name}")`);
    }
    if ((await stat(join(dirname(indexPath), name)).catch(() => null)) === null) {
      throw badFile(indexPath, `its piece ${name} is missing`, 'Put all pieces into one folder.');
    }
  }
  return names.map((name) => join(dirname(indexPath), name));
}

export function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badFile(path, 'it is not valid JSON');
  }
}
