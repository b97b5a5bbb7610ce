/** The long work on models: scanning a folder, and reading every byte of a model. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { toErrorData } from '../../contract/errors.ts';
import type { Engine } from '../engine/engine.ts';
import type { JobRunner } from '../jobs/runner.ts';

const scanInput = z.object({ path: z.string() });
const scanCheckpoint = z.object({ seen: z.array(z.string()) });

export interface ScanOptions {
  readonly engine: Engine;
  /** Looks at a model and keeps it. */
  readonly take: (path: string) => Promise<void>;
}

/** Finds every model under a folder. What was looked at before an interruption is not looked at again. */
export function scanRunner({
  engine,
  take,
}: ScanOptions): JobRunner<z.infer<typeof scanInput>, z.infer<typeof scanCheckpoint>> {
  return {
    kind: 'models.scan',
    unit: 'items',
    inputSchema: scanInput,
    checkpointSchema: scanCheckpoint,
    async run({ path }, { signal, checkpoint, progress, save }) {
      const seen = new Set(checkpoint?.seen);
      const failures: string[] = [];
      for await (const found of engine.discover(path, { signal })) {
        signal.throwIfAborted();
        if (seen.has(found.path)) continue;
        progress({ note: relative(path, found.path) || found.path });
        await take(found.path).catch((thrown: unknown) => {
          const { code, message } = toErrorData(thrown);
          if (code === 'engine-unavailable') throw thrown;
          failures.push(message);
        });
        seen.add(found.path);
        save({ seen: [...seen] });
        progress({ done: seen.size });
      }
      signal.throwIfAborted();
      const models = seen.size === 1 ? '1 model' : `${seen.size} models`;
      return failures.length === 0
        ? `${models} found`
        : `${models} found; ${failures.length} could not be read: ${failures[0]}`;
    },
  };
}

const verifyInput = z.object({ modelId: z.string() });
const verifyCheckpoint = z.object({ hashes: z.record(z.string(), z.string()) });

export interface VerifyOptions {
  readonly engine: Engine;
  readonly pathOf: (modelId: string) => string;
}

/** Reads every byte of a model's files. Files that were read before an interruption are not read again. */
export function verifyRunner({
  engine,
  pathOf,
}: VerifyOptions): JobRunner<z.infer<typeof verifyInput>, z.infer<typeof verifyCheckpoint>> {
  return {
    kind: 'models.verify',
    unit: 'bytes',
    inputSchema: verifyInput,
    checkpointSchema: verifyCheckpoint,
    async run({ modelId }, { signal, checkpoint, progress, save }) {
      const files = await filesOf(pathOf(modelId));
      const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const hashes: Record<string, string> = { ...checkpoint?.hashes };
      let finishedBytes = 0;
      for (const { path, name, sizeBytes } of files) {
        progress({ done: finishedBytes, total, note: name });
        if (hashes[name] === undefined) {
          for await (const { bytesRead, sha256 } of engine.hash(path, { signal })) {
            progress({ done: finishedBytes + bytesRead });
            if (sha256 !== null) hashes[name] = sha256;
          }
          signal.throwIfAborted();
          save({ hashes });
        }
        finishedBytes += sizeBytes;
        progress({ done: finishedBytes });
      }
      return files.map(({ name }) => `${name}: SHA-256 ${hashes[name] ?? ''}`).join('\n');
    },
  };
}

interface ModelFile {
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
}

const splitName = /^(.*-)(\d{5})(-of-\d{5}\.gguf)$/;

/** A file, its sister pieces, or every file of a folder, by name. */
async function filesOf(path: string): Promise<ModelFile[]> {
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const names = isFolder ? await namesUnder(path) : await sisterPieces(path);
  return Promise.all(
    names.map(async (name) => ({ path: join(folder, name), name, sizeBytes: (await stat(join(folder, name))).size })),
  );
}

async function namesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('.'))
    .sort();
}

/** The pieces of a split GGUF; of any other file itself alone. */
async function sisterPieces(path: string): Promise<string[]> {
  const own = splitName.exec(basename(path));
  if (own === null) return [basename(path)];
  const names = await readdir(dirname(path));
  return names
    .filter((name) => {
      const other = splitName.exec(name);
      return other !== null && other[1] === own[1] && other[3] === own[3];
    })
    .sort();
}
