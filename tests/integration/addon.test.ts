import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { deviceSchema, selfTestSchema } from '../../contract/engine.ts';
import { loadAddon, loadedSchema, memorySchema, packageName, unavailableSchema } from '../../main/engine/addon.ts';
// @ts-expect-error a plain script without types
import { addonFolder as builtFolder, buildNative } from '../../scripts/native.mjs';

const run = promisify(execFile);
const addonFolder = builtFolder as string;
const addonSource = pathToFileURL(resolve(import.meta.dirname, '../../main/engine/addon.ts')).href;
const llamaSource = import.meta.resolve('node-llama-cpp');

let folder: string;
let scripts = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lutra-addon-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs `body` in a process of its own and gives what it reports; fails unless that process ends with 0. */
async function inProcess<T>(body: string, schema: z.ZodType<T>): Promise<T> {
  const script = `
    import { readFileSync } from 'node:fs';
    import { loadAddon } from ${JSON.stringify(addonSource)};
    const folder = ${JSON.stringify(addonFolder)};
    const startLlama = async (gpu) => {
      const { getLlama, LlamaLogLevel } = await import(${JSON.stringify(llamaSource)});
      return getLlama({ gpu, build: 'never', skipDownload: true, progressLogs: false, logLevel: LlamaLogLevel.error });
    };
    /** The files of that name which this process has mapped. */
    const mapped = (pattern) => [...new Set(readFileSync('/proc/self/maps', 'utf8').split('\\n')
      .map((line) => line.slice(73)).filter((path) => pattern.test(path)))];
    const report = (value) => console.log('report:' + JSON.stringify(value));
    ${body}`;
  // A file, not --eval: node-llama-cpp forks this process with its arguments to try its binary.
  const file = join(folder, `${(scripts += 1)}.mjs`);
  await writeFile(file, script);
  const { stdout } = await run(process.execPath, [file], { env: { ...process.env, GGML_NO_BACKTRACE: '1' } });
  const line = stdout.split('\n').find((candidate) => candidate.startsWith('report:'));
  return schema.parse(JSON.parse(line?.slice('report:'.length) ?? 'null'));
}

beforeAll(async () => {
  await (buildNative as (options: object) => Promise<unknown>)({ log: () => {} });
}, 300_000);

describe('the addon', () => {
  test('computes rightly on this machine with the CPU module that was built for it', async () => {
    const found = await inProcess(
      `const addon = await loadAddon(folder, false);
       report({ ...addon, devices: addon.devices(), unavailable: addon.unavailable(), memory: addon.memory(),
                selfTest: await addon.selfTest() });`,
      loadedSchema.extend({
        devices: z.array(deviceSchema),
        unavailable: z.array(unavailableSchema),
        memory: memorySchema,
        selfTest: selfTestSchema,
      }),
    );
    expect(found.selfTest.checks.filter((check) => !check.ok)).toEqual([]);
    expect(found.selfTest.ok).toBe(true);
    expect(found.selfTest.checks.length).toBeGreaterThanOrEqual(6);
    expect(found.ggmlVersion).toMatch(/^\d+\.\d+\.\d+$/);
    expect(found.cpuModule).toMatchObject({ isOwn: true, note: '' });
    const cpu = found.devices.at(-1);
    expect(cpu?.backend).toBe('cpu');
    expect(cpu?.features.length).toBeGreaterThan(0);
    expect(cpu?.memoryTotalBytes).toBe(found.memory.machineTotalBytes);
    expect(found.memory.engineBytes).toBeGreaterThan(1e6);
    expect(found.memory.machineFreeBytes).toBeLessThan(found.memory.machineTotalBytes);
    expect(found.unavailable.map(({ reason }) => reason)).not.toContain('');
  });

  const orders = {
    'before the language model': `
      const addon = await loadAddon(folder, false);
      const llama = await startLlama(false);`,
    'after the language model': `
      const llama = await startLlama(false);
      const addon = await loadAddon(folder, false);`,
  };
  for (const [when, start] of Object.entries(orders)) {
    test.runIf(process.platform === 'linux')(
      `loaded ${when}, it shares one ggml with it and both end cleanly`,
      async () => {
        const found = await inProcess(
          `${start}
         const first = await addon.selfTest();
         await llama.dispose();
         const second = await addon.selfTest();
         report({ bases: mapped(/libggml-base\\.so/), registries: mapped(/libggml\\.[^/]*so/), first, second });`,
          z.object({
            bases: z.array(z.string()),
            registries: z.array(z.string()),
            first: selfTestSchema,
            second: selfTestSchema,
          }),
        );
        expect(found.bases).toHaveLength(1);
        expect(found.registries).toHaveLength(1);
        expect([found.first.ok, found.second.ok]).toEqual([true, true]);
      },
    );
  }

  test.runIf(process.platform === 'linux')(
    'pointed at another copy of ggml than the language model, it refuses',
    async () => {
      const failure = await inProcess(
        `await startLlama(false);
       report(await loadAddon(folder, 'vulkan').then(() => null, (error) => error.toData()));`,
        z.object({ code: z.string(), message: z.string(), hint: z.string() }).nullable(),
      );
      // The package may be absent on this machine; that is told in another way.
      expect(failure?.code).toBe(
        existsSync(resolve(import.meta.dirname, '../../node_modules/@node-llama-cpp', packageName('vulkan')))
          ? 'conflict'
          : 'engine-unavailable',
      );
    },
  );

  test('built but damaged, or not built at all, it says what to do', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    await expect(loadAddon(empty, false)).rejects.toMatchObject({
      code: 'engine-unavailable',
      hint: expect.stringContaining('npm run native'),
    });
    await writeFile(join(empty, 'lutra.node'), 'not a library');
    await expect(loadAddon(empty, false)).rejects.toMatchObject({
      code: 'file-access',
      subject: join(empty, 'lutra.node'),
      hint: expect.stringContaining('npm run native'),
    });
  });

  test('wrong arguments become errors with a code, not crashes', async () => {
    const codes = await inProcess(
      `import { createRequire } from 'node:module';
       const binding = createRequire(import.meta.url)(folder + '/lutra.node');
       const code = (call) => { try { call(); return null; } catch (error) { return error.code; } };
       report([
         code(() => binding.devices()),
         code(() => binding.selfTest()),
         code(() => binding.load()),
         code(() => binding.load({ baseLibrary: 1 })),
         code(() => binding.load({ baseLibrary: 'a', registryLibrary: 'b', backendFolder: 'c', cpuModules: 'd' })),
         code(() => binding.load({ baseLibrary: '/nowhere/libggml-base.so', registryLibrary: 'b', backendFolder: 'c', cpuModules: [] })),
       ]);`,
      z.array(z.string().nullable()),
    );
    expect(codes).toEqual([
      'engine-unavailable',
      'engine-unavailable',
      'bad-input',
      'bad-input',
      'bad-input',
      'file-access',
    ]);
  });
});

describe('the native build', () => {
  test('does nothing when nothing changed', async () => {
    const result = await (buildNative as (options: object) => Promise<{ built: boolean }>)({ log: () => {} });
    expect(result.built).toBe(false);
  });

  test('without a compiler it says what is missing and how to get it', async () => {
    const script = resolve(import.meta.dirname, '../../scripts/native.mjs');
    const failure = await run(process.execPath, [script, 'build'], { env: { PATH: folder } }).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(failure).toMatchObject({ code: 1 });
    expect(failure.stderr).toMatch(/lacks a C\+\+ compiler .*, cmake .*, git\. On /);
    expect(failure.stderr).not.toContain('    at ');
  });

  test('used wrongly it says how', async () => {
    const script = resolve(import.meta.dirname, '../../scripts/native.mjs');
    for (const args of [[], ['paint'], ['build', '--sanitize'], ['test', '--fast']]) {
      const failure = await run(process.execPath, [script, ...args]).catch(
        (error: { code: number; stderr: string }) => error,
      );
      expect(failure).toMatchObject({ code: 2, stderr: expect.stringContaining('usage:') });
    }
  });
});

test('the platform package is the one that node-llama-cpp chooses', () => {
  expect(packageName(false, 'linux', 'x64')).toBe('linux-x64');
  expect(packageName('cuda', 'win32', 'x64')).toBe('win-x64-cuda');
  expect(packageName('metal', 'darwin', 'arm64')).toBe('mac-arm64-metal');
  expect(packageName(false, 'linux', 'arm')).toBe('linux-armv7l');
});

describe('a picture that mPLUG-Owl3 cuts', () => {
  test('is seen in pieces and as a whole, each with a place in the text; a frame is not cut', async () => {
    const seenSchema = z.object({
      cached: z.boolean(),
      visionTokens: z.number(),
      rows: z.number(),
      columns: z.number(),
    });
    const model = resolve(import.meta.dirname, '../golden/vision/mplugowl3-joint');
    const { pieces, tokens, cut, frame, answered, refused } = await inProcess(
      `const addon = await loadAddon(folder, false);
       const model = await addon.loadVisionModel({ folder: ${JSON.stringify(model)}, threads: 1, precision: 'exact',
         cacheType: 'f16', contextSize: 128, device: 'cpu' }, () => {});
       const picture = { width: 90, height: 30, rgb: Uint8Array.from({ length: 8100 }, (_, at) => at % 251) };
       const cut = await model.see('a', { ...picture, cut: true }, () => {});
       const frame = await model.see('b', { ...picture, cut: false }, () => {});
       const { pieces, visionTokens, imageTokenId } = model.info();
       const ask = (places) => model.generate({ prompt: Int32Array.from([...Array(places).fill(imageTokenId), 40, 41]),
         endIds: new Int32Array(), pictures: ['a'], maxTokens: 2, temperature: 0, topK: 0, topP: 1, minP: 0,
         repeatPenalty: 1, seed: 1 }, () => {});
       const answered = (await ask(cut.rows * cut.columns + 1)).generatedTokens;
       const refused = await ask(1).then(() => '', (error) => error.message);
       report({ pieces, tokens: visionTokens, cut, frame, answered, refused });`,
      z.object({
        pieces: z.string(),
        tokens: z.number(),
        cut: seenSchema,
        frame: seenSchema,
        answered: z.number(),
        refused: z.string(),
      }),
    );
    expect(pieces).toBe('marked');
    expect([cut.rows, cut.columns]).toEqual([1, 3]);
    expect(cut.visionTokens).toBe(4 * tokens);
    expect(frame).toMatchObject({ rows: 0, columns: 0, visionTokens: tokens });
    expect(answered).toBe(2);
    expect(refused).toContain('places');
  });
});
