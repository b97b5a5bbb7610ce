/** What the engine process answers about model files. Untrusted files are opened in this process only. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { LutraError, toErrorData } from '../../../../contract/errors.ts';
import type { EngineHandlers, Inspection } from '../../protocol.ts';
import { badFile } from './bad-file.ts';
import { discover, formOf } from './discover.ts';
import { estimateFit } from './fit.ts';
import type { FitRequest } from './fit.ts';
import { blank, inspectDiffusersFolder, inspectHfFolder, inspectStableAudio, pickleRefused } from './folders.ts';
import { ggufPieces, quantizationName, readGgufHeader, requireChatModel } from './gguf.ts';
import type { GgufHeader } from './gguf.ts';

export interface ModelHandlerOptions {
  /** Where a model that ggml runs would be with the present settings; null: in the machine's own memory. */
  readonly gpu: () => Promise<FitRequest['device']>;
  /** The same for a folder that our own engine runs. */
  readonly card: () => Promise<FitRequest['device']>;
}

const hashPieceBytes = 4 << 20;

export function createModelHandlers({ gpu, card }: ModelHandlerOptions): EngineHandlers['models'] {
  return {
    inspect: ({ path }) => inspect(path),
    discover: ({ path }, { signal }) => discover(path, signal),
    fit: async ({ path, contextLength }) => {
      const inspection = await inspect(path);
      if (inspection.status === 'broken' && inspection.problem !== null) throw new LutraError(inspection.problem);
      const device = await (inspection.kind === 'hf' ? card() : gpu());
      return estimateFit({ path, inspection, contextLength, device });
    },
    hash: ({ path }, { signal }) => hash(path, signal),
  };
}

/** A broken model has a `problem` and what could be read; something that is no model at all has no `kind` either. */
export async function inspect(path: string): Promise<Inspection> {
  const form = await formOf(path);
  const kind = { gguf: 'gguf', hf: 'hf', diffusers: 'diffusers', 'stable-audio': 'stable-audio' } as const;
  try {
    switch (form) {
      case 'gguf':
        return await inspectGguf(path);
      case 'hf':
        return await inspectHfFolder(path);
      case 'diffusers':
        return await inspectDiffusersFolder(path);
      case 'stable-audio':
        return await inspectStableAudio(path);
      case 'safetensors':
        throw badFile(
          path,
          'a safetensors file alone does not say what model it is',
          'Add the whole folder, with its config.json.',
        );
      case 'pickle':
        throw pickleRefused(path);
      case 'unknown':
        throw badFile(
          path,
          'this is no model that Lutra knows',
          'Add a .gguf file, or a folder with config.json and safetensors files.',
        );
    }
  } catch (thrown) {
    const sizeBytes = await stat(path).then(
      (stats) => (stats.isDirectory() ? 0 : stats.size),
      () => 0,
    );
    const known = form in kind ? kind[form as keyof typeof kind] : null;
    return { ...blank(path), kind: known, sizeBytes, status: 'broken', problem: toErrorData(thrown) };
  }
}

async function inspectGguf(path: string): Promise<Inspection> {
  const pieces = await ggufPieces(path);
  const headers: GgufHeader[] = [];
  for (const piece of pieces) headers.push(await readGgufHeader(piece));
  const [first] = headers;
  if (first === undefined) throw badFile(path, 'it has no pieces');
  const { metadata } = first;
  const text = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const architecture = text('general.architecture');
  if (architecture === null) throw badFile(path, 'it does not name its architecture ("general.architecture")');
  const contextLength = Number(metadata.get(`${architecture}.context_length`));
  const tensors = headers.flatMap((header) => header.tensors);
  const parameterCount = tensors.reduce((sum, { elements }) => sum + elements, 0);
  const sizeBytes = headers.reduce((sum, header) => sum + header.sizeBytes, 0);
  const isEmbedding = metadata.has(`${architecture}.pooling_type`) || /bert/.test(architecture);
  const isProjector = architecture === 'clip';
  const known: Inspection = {
    ...blank(path),
    name: basename(path).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, ''),
    kind: 'gguf',
    architecture,
    parameterCount,
    sizeBytes,
    quantization: quantizationName({ ...first, tensors }),
    bitsPerWeight: parameterCount === 0 ? null : (sizeBytes * 8) / parameterCount,
    license: text('general.license'),
    contextLength: Number.isSafeInteger(contextLength) && contextLength > 0 ? contextLength : null,
    capabilities: isProjector ? [] : isEmbedding ? ['embedding'] : ['chat'],
    hasChatTemplate: text('tokenizer.chat_template') !== null,
  };
  if (isProjector || isEmbedding) {
    const what = isProjector ? 'the vision part of another model' : 'an embedding model, not a chat model';
    return {
      ...known,
      status: 'not-yet',
      problem: {
        code: 'not-supported',
        message: `${known.name} is ${what}; this version of Lutra cannot run it.`,
        subject: path,
      },
    };
  }
  if (tensors.length === 0) throw badFile(path, 'it has a vocabulary but no weights');
  try {
    requireChatModel(first, path);
  } catch (thrown) {
    return { ...known, status: 'not-yet', capabilities: [], problem: toErrorData(thrown) };
  }
  return known;
}

async function* hash(
  path: string,
  signal: AbortSignal,
): AsyncGenerator<{ bytesRead: number; sha256: string | null }, void, undefined> {
  const digest = createHash('sha256');
  let bytesRead = 0;
  for await (const piece of createReadStream(path, {
    highWaterMark: hashPieceBytes,
    signal,
  }) as AsyncIterable<Buffer>) {
    digest.update(piece);
    bytesRead += piece.length;
    yield { bytesRead, sha256: null };
  }
  yield { bytesRead, sha256: digest.digest('hex') };
}
