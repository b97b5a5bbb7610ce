/**
 * The header of a GGUF file, read strictly: the model library trusts what it reads, so nothing gets there that does
 * not add up. Layout: ggml/docs/gguf.md, versions 2 and 3.
 */
import { GGMLFileQuantizationType, GGMLQuantizationType } from '@huggingface/gguf';
import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LutraError } from '../../../../contract/errors.ts';
import { badFile } from './bad-file.ts';
import { ByteReader } from './byte-reader.ts';

export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly elements: number;
}

export interface GgufHeader {
  /** Arrays are kept as their length only. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  readonly sizeBytes: number;
}

export type GgufValue = string | number | bigint | boolean | { readonly arrayLength: number };

const magic = 0x46554747; // "GGUF", little-endian
const maximumPairs = 1 << 20;
const maximumTensors = 1 << 18;
const maximumKeyBytes = 1 << 16;
const maximumStringBytes = 1 << 26;
const maximumDimensions = 4;

const scalarBytes = [1, 1, 2, 2, 4, 4, 4, 1, null, null, 8, 8, 8] as const;
const stringType = 8;
const arrayType = 9;

/** Elements and bytes of a block, by ggml type; from ggml's type traits. */
const blocks: ReadonlyMap<number, readonly [elements: number, bytes: number]> = new Map([
  [0, [1, 4]],
  [1, [1, 2]],
  [2, [32, 18]],
  [3, [32, 20]],
  [6, [32, 22]],
  [7, [32, 24]],
  [8, [32, 34]],
  [9, [32, 36]],
  [10, [256, 84]],
  [11, [256, 110]],
  [12, [256, 144]],
  [13, [256, 176]],
  [14, [256, 210]],
  [15, [256, 292]],
  [16, [256, 66]],
  [17, [256, 74]],
  [18, [256, 98]],
  [19, [256, 50]],
  [20, [32, 18]],
  [21, [256, 110]],
  [22, [256, 82]],
  [23, [256, 136]],
  [24, [1, 1]],
  [25, [1, 2]],
  [26, [1, 4]],
  [27, [1, 8]],
  [28, [1, 8]],
  [29, [256, 56]],
  [30, [1, 2]],
  [34, [256, 54]],
  [35, [256, 66]],
  [39, [32, 17]],
]);

/** Fails with `bad-file` and says where. Reads the header only. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const { size } = await stat(path);
  const file = await open(path, 'r');
  try {
    return await new HeaderReader(new ByteReader(file, path, size), path).read();
  } finally {
    await file.close();
  }
}

class HeaderReader {
  readonly #bytes: ByteReader;
  readonly #path: string;

  constructor(bytes: ByteReader, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  async read(): Promise<GgufHeader> {
    if (this.#bytes.sizeBytes === 0) throw badFile(this.#path, 'the file is empty');
    if ((await this.#u32('its first bytes')) !== magic) throw badFile(this.#path, 'it is no GGUF file');
    const version = await this.#u32('the version');
    if (version !== 2 && version !== 3) {
      throw badFile(this.#path, `GGUF version ${version} is not known`, 'Get a copy in GGUF version 3.');
    }
    const tensorCount = await this.#count('the number of tensors', maximumTensors);
    const pairCount = await this.#count('the number of metadata entries', maximumPairs);
    const metadata = await this.#metadata(pairCount);
    const tensors = await this.#tensors(tensorCount, metadata);
    return { metadata, tensors, sizeBytes: this.#bytes.sizeBytes };
  }

  async #metadata(pairCount: number): Promise<Map<string, GgufValue>> {
    const metadata = new Map<string, GgufValue>();
    for (let pair = 0; pair < pairCount; pair += 1) {
      const key = await this.#string(`the name of metadata entry ${pair}`, maximumKeyBytes);
      if (metadata.has(key)) throw badFile(this.#path, `the metadata entry "${key}" is there twice`);
      metadata.set(key, await this.#value(await this.#u32(`the type of "${key}"`), `"${key}"`));
    }
    return metadata;
  }

  async #value(type: number, what: string): Promise<GgufValue> {
    if (type === stringType) return this.#string(what, maximumStringBytes);
    if (type === arrayType) return this.#array(what);
    const byteLength = scalarBytes[type];
    if (byteLength === undefined || byteLength === null) {
      throw badFile(this.#path, `${what} has the unknown type ${type}`);
    }
    const bytes = await this.#bytes.take(byteLength, what);
    switch (type) {
      case 0:
        return bytes.readUInt8();
      case 1:
        return bytes.readInt8();
      case 2:
        return bytes.readUInt16LE();
      case 3:
        return bytes.readInt16LE();
      case 4:
        return bytes.readUInt32LE();
      case 5:
        return bytes.readInt32LE();
      case 6:
        return bytes.readFloatLE();
      case 7:
        return bytes.readUInt8() !== 0;
      case 10:
        return bytes.readBigUInt64LE();
      case 11:
        return bytes.readBigInt64LE();
      default:
        return bytes.readDoubleLE();
    }
  }

  async #array(what: string): Promise<GgufValue> {
    const type = await this.#u32(`the type of ${what}`);
    const arrayLength = await this.#count(`the length of ${what}`, this.#bytes.sizeBytes);
    if (type === stringType) {
      for (let at = 0; at < arrayLength; at += 1) {
        this.#bytes.skip(await this.#count(what, maximumStringBytes), what);
      }
      return { arrayLength };
    }
    const byteLength = scalarBytes[type];
    if (byteLength === undefined || byteLength === null) {
      throw badFile(this.#path, `${what} is an array of the unknown type ${type}`);
    }
    this.#bytes.skip(byteLength * arrayLength, what);
    return { arrayLength };
  }

  async #tensors(count: number, metadata: ReadonlyMap<string, GgufValue>): Promise<GgufTensor[]> {
    const names = new Set<string>();
    const tensors: (GgufTensor & { offset: number })[] = [];
    for (let index = 0; index < count; index += 1) {
      const name = await this.#string(`the name of tensor ${index}`, maximumKeyBytes);
      if (names.has(name)) throw badFile(this.#path, `the tensor "${name}" is there twice`);
      names.add(name);
      tensors.push(await this.#tensor(name));
    }
    const alignment = metadata.get('general.alignment') ?? 32;
    if (typeof alignment !== 'number' || alignment < 1 || !Number.isInteger(Math.log2(alignment))) {
      throw badFile(this.#path, '"general.alignment" is no power of two');
    }
    const dataStart = Math.ceil(this.#bytes.position / alignment) * alignment;
    for (const tensor of tensors) this.#requireInside(tensor, dataStart, alignment);
    return tensors;
  }

  async #tensor(name: string): Promise<GgufTensor & { offset: number }> {
    const what = `tensor "${name}"`;
    const dimensions = await this.#u32(what);
    if (dimensions > maximumDimensions) throw badFile(this.#path, `${what} has ${dimensions} dimensions`);
    const shape: number[] = [];
    let elements = 1;
    for (let at = 0; at < dimensions; at += 1) {
      const length = await this.#count(`the shape of ${what}`, Number.MAX_SAFE_INTEGER);
      shape.push(length);
      elements *= length;
    }
    if (elements > Number.MAX_SAFE_INTEGER) throw badFile(this.#path, `${what} has an impossible shape`);
    const type = await this.#u32(`the type of ${what}`);
    const offset = await this.#count(`the offset of ${what}`, Number.MAX_SAFE_INTEGER);
    return { name, shape, type, elements, offset };
  }

  #requireInside(tensor: GgufTensor & { offset: number }, dataStart: number, alignment: number): void {
    const what = `tensor "${tensor.name}"`;
    if (tensor.offset % alignment !== 0) throw badFile(this.#path, `${what} is not aligned to ${alignment} bytes`);
    const block = blocks.get(tensor.type);
    if (block === undefined && GGMLQuantizationType[tensor.type] === undefined) {
      throw badFile(this.#path, `${what} has the unknown type ${tensor.type}`, 'A newer Lutra may know it.');
    }
    const [elements, bytes] = block ?? [1, 0];
    if ((tensor.shape[0] ?? 1) % elements !== 0) {
      throw badFile(this.#path, `${what} has rows of ${tensor.shape[0]} values, which are no whole blocks`);
    }
    const end = dataStart + tensor.offset + (tensor.elements / elements) * bytes;
    if (end > this.#bytes.sizeBytes) {
      throw badFile(this.#path, `it is cut: ${what} ends at byte ${end}, but the file has ${this.#bytes.sizeBytes}`);
    }
  }

  async #u32(what: string): Promise<number> {
    return (await this.#bytes.take(4, what)).readUInt32LE();
  }

  async #count(what: string, maximum: number): Promise<number> {
    const value = (await this.#bytes.take(8, what)).readBigUInt64LE();
    if (value > BigInt(maximum)) throw badFile(this.#path, `${what} is impossible (${value})`);
    return Number(value);
  }

  async #string(what: string, maximum: number): Promise<string> {
    const bytes = await this.#bytes.take(await this.#count(what, maximum), what);
    return bytes.toString('utf8');
  }
}

const splitName = /^(?<stem>.+)-(?<part>\d{5})-of-(?<parts>\d{5})\.gguf$/i;

/** The pieces of a split model, of which `path` is one; itself alone for any other file. Fails where one is missing. */
export async function ggufPieces(path: string): Promise<string[]> {
  const groups = splitName.exec(basename(path))?.groups;
  if (groups === undefined) return [path];
  const parts = Number(groups['parts']);
  const pieces: string[] = [];
  for (let part = 1; part <= parts; part += 1) {
    const name = `${groups['stem']}-${String(part).padStart(5, '0')}-of-${groups['parts']}.gguf`;
    const piece = join(dirname(path), name);
    if ((await stat(piece).catch(() => null)) === null) {
      throw badFile(path, `its piece ${name} is missing`, `Put all ${parts} pieces into one folder.`);
    }
    pieces.push(piece);
  }
  return pieces;
}

/** True for a piece after the first: the first stands for all. */
export function isLaterPiece(name: string): boolean {
  const part = splitName.exec(name)?.groups?.['part'];
  return part !== undefined && part !== '00001';
}

/** Checks every piece before the model library sees it. Fails with `bad-file`. */
export async function validateGguf(path: string): Promise<void> {
  for (const piece of await ggufPieces(path)) await readGgufHeader(piece);
}

/** As publishers write it: `Q4_K_M`, `F16`; from the file type, else from the most used tensor type. */
export function quantizationName(header: GgufHeader): string | null {
  const fileType = header.metadata.get('general.file_type');
  const named = typeof fileType === 'number' ? GGMLFileQuantizationType[fileType] : undefined;
  if (named !== undefined) return named.replace(/^MOSTLY_|^ALL_/, '');
  const totals = new Map<number, number>();
  for (const { type, elements } of header.tensors) totals.set(type, (totals.get(type) ?? 0) + elements);
  const [most] = [...totals].sort((a, b) => b[1] - a[1]);
  return most === undefined ? null : (GGMLQuantizationType[most[0]] ?? null);
}

/** What node-llama-cpp would abort on, said instead. */
export function requireChatModel(header: GgufHeader, path: string): void {
  const tokenizer = header.metadata.get('tokenizer.ggml.model');
  if (tokenizer !== undefined && tokenizer !== 'no_vocab' && tokenizer !== 'none') return;
  throw new LutraError({
    code: 'not-supported',
    message: `${basename(path)} has no tokenizer, so it cannot chat.`,
    hint: 'Get a GGUF that was converted with its vocabulary.',
    subject: path,
  });
}
