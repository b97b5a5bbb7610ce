/** A text file as a model's tokens, for calibration and evaluation. */
import { readFile, stat } from 'node:fs/promises';
import { badFile } from '../inspect/bad-file.ts';
import { estimateFolder } from '../inspect/folder-fit.ts';
import { loadTokenizer } from './tokenizer.ts';

const maximumBytes = 200_000_000;

/** Fails with `bad-file` that names the text or the tokenizer. */
export async function tokensOf(modelFolder: string, textPath: string): Promise<Int32Array> {
  const facts = await stat(textPath).catch(() => null);
  if (facts === null || !facts.isFile()) throw badFile(textPath, 'it is no file', 'Give a plain text file.');
  if (facts.size > maximumBytes) throw badFile(textPath, 'it is larger than 200 MB', 'Give a part of it.');
  const { vocabSize } = await estimateFolder(modelFolder);
  const tokenizer = await loadTokenizer(modelFolder, vocabSize);
  const ids = tokenizer.encode(await readFile(textPath, 'utf8'));
  if (ids.length < 2) throw badFile(textPath, 'it holds hardly any text');
  return Int32Array.from(ids);
}
