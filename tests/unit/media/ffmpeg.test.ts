/** The system's ffmpeg: found or missing, and what of its answers is let through. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runFfmpeg } from '../../../main/media/ffmpeg.ts';
import { temporaryFolder } from '../../fixtures/host.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let program = '';

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(folder.path, { recursive: true });
  program = join(folder.path, 'ffmpeg');
  const script =
    '#!/bin/sh\ncase "$*" in *broken*) echo "moov atom not found" >&2; exit 1;; *busy*) exec sleep 60;; *) printf "12345678";; esac\n';
  await writeFile(program, script, { mode: 0o755 });
});
afterAll(() => folder.remove());

test('gives what it writes', async () => {
  expect((await runFfmpeg(['-i', 'x'], { mostBytes: 100, program })).toString()).toBe('12345678');
});

test('says in its own words why it gave up', async () => {
  await expect(runFfmpeg(['broken'], { mostBytes: 100, program })).rejects.toThrow('moov atom not found');
});

test('does not take more than was asked for', async () => {
  await expect(runFfmpeg([], { mostBytes: 4, program })).rejects.toThrow('too long');
});

test('missing, it says how to get it', async () => {
  const error: unknown = await runFfmpeg([], { mostBytes: 4, program: join(folder.path, 'nowhere') }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({
    code: 'not-supported',
    hint: expect.stringContaining('apt install ffmpeg') as string,
  });
});

test('is ended when it takes too long', async () => {
  await expect(runFfmpeg(['busy'], { mostBytes: 4, program, patienceMs: 50 })).rejects.toThrow('far too long');
});

test('ends with its signal', async () => {
  await expect(runFfmpeg([], { mostBytes: 4, program, signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
});
