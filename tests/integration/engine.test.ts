import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultSampler } from '../../contract/chat.ts';
import type { AnswerEvent, AnswerRequest } from '../../main/engine/protocol.ts';
import { EngineSupervisor } from '../../main/engine/supervisor.ts';
import { spawnNodeEngine } from '../../main/engine/spawn-node.ts';
import { encodeGguf, tinyGguf, writeTinyGguf } from '../fixtures/gguf.ts';
import { temporaryFolder } from '../fixtures/host.ts';
import { addModel, answered, builtEngine, follow, openStudio, unhurriedMs } from '../fixtures/studio.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let endless: string;
let tiny: string;

function supervise(stopPatienceMs = unhurriedMs): EngineSupervisor {
  return new EngineSupervisor({
    spawn: spawnNodeEngine(builtEngine),
    unloadAfterMinutes: () => null,
    device: () => 'cpu',
    stopPatienceMs,
  });
}

function ask(modelPath: string, sampler: Partial<AnswerRequest['sampler']> = {}): AnswerRequest {
  return {
    modelPath,
    modelName: 'test model',
    compute: { device: 'cpu', threads: null },
    contextSize: null,
    systemPrompt: '',
    history: [{ role: 'user', text: 'Hello' }],
    sampler: { ...defaultSampler, ...sampler },
    seed: 1,
  };
}

async function collect(events: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const all: AnswerEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

beforeAll(async () => {
  folder = await temporaryFolder();
  endless = join(folder.path, 'endless.gguf');
  tiny = join(folder.path, 'tiny.gguf');
  await writeTinyGguf(endless, { endless: true, contextLength: 32_768 });
  await writeTinyGguf(tiny);
});
afterAll(() => folder.remove());

describe('the engine process', () => {
  test('killed in mid-answer, it says why, starts again, and loads the model again on demand', async () => {
    const engine = supervise();
    try {
      let killed = false;
      const broken = (async () => {
        for await (const event of engine.answer(ask(endless))) {
          if (event.type === 'delta' && !killed) {
            killed = true;
            process.kill(engine.status().pid ?? 0, 'SIGKILL');
          }
        }
      })();
      await expect(broken).rejects.toMatchObject({
        code: 'engine-crashed',
        message: expect.stringContaining('answered with "test model"'),
      });
      const events = await collect(engine.answer(ask(tiny, { maxTokens: 4 })));
      expect(events.at(-1)?.type).toBe('done');
      expect(engine.status()).toMatchObject({ restarts: 1, lastCrash: { error: { code: 'engine-crashed' } } });
    } finally {
      await engine.dispose();
    }
  });

  test('a cancelled answer ends with its figures, and the model stays loaded', async () => {
    const engine = supervise();
    try {
      const abort = new AbortController();
      const events: AnswerEvent[] = [];
      for await (const event of engine.answer(ask(endless), { signal: abort.signal })) {
        events.push(event);
        if (event.type === 'delta') abort.abort();
      }
      expect(events.at(-1)).toMatchObject({ type: 'done', stats: { stopReason: 'stopped' } });
      const { pid } = engine.status();
      await collect(engine.answer(ask(endless, { maxTokens: 2 })));
      expect(engine.status()).toMatchObject({ pid, restarts: 0 });
    } finally {
      await engine.dispose();
    }
  });

  test('a process that does not obey is ended, and that is no crash', async () => {
    const engine = supervise(500);
    try {
      const abort = new AbortController();
      const { pid } = (await engine.report(), engine.status());
      const run = (async () => {
        for await (const event of engine.answer(ask(endless), { signal: abort.signal })) {
          if (event.type === 'delta' && !abort.signal.aborted) {
            process.kill(pid ?? 0, 'SIGSTOP');
            abort.abort();
          }
        }
      })();
      await expect(run).rejects.toMatchObject({ code: 'cancelled' });
      await collect(engine.answer(ask(tiny, { maxTokens: 2 })));
      expect(engine.status().restarts).toBe(0);
      expect(engine.status().pid).not.toBe(pid);
    } finally {
      await engine.dispose();
    }
  });

  test('work runs by priority, then by arrival', async () => {
    const engine = supervise();
    try {
      const order: string[] = [];
      const abort = new AbortController();
      const first = collect(engine.answer(ask(endless), { signal: abort.signal }));
      await until(() => engine.status().tokensPerSecond !== null);
      const later = [
        collect(engine.answer(ask(tiny, { maxTokens: 1 }), { priority: 20 })).then(() => order.push('batch')),
        collect(engine.answer(ask(tiny, { maxTokens: 1 }), { priority: 0 })).then(() => order.push('first')),
        collect(engine.answer(ask(tiny, { maxTokens: 1 }), { priority: 0 })).then(() => order.push('second')),
      ];
      await until(() => engine.status().queueLength === 3);
      abort.abort();
      await first.catch(() => undefined);
      await Promise.all(later);
      expect(order).toEqual(['first', 'second', 'batch']);
    } finally {
      await engine.dispose();
    }
  });

  test('an engine that cannot start says so, and is not tried for ever', async () => {
    let spawns = 0;
    const entry = join(folder.path, 'dies.mjs');
    await writeFile(entry, 'console.error("no library"); process.exit(3);');
    const spawn = spawnNodeEngine(entry);
    const engine = new EngineSupervisor({
      spawn: (options) => {
        spawns += 1;
        return spawn(options);
      },
      unloadAfterMinutes: () => null,
      device: () => 'cpu',
    });
    try {
      await expect(engine.report()).rejects.toMatchObject({ message: expect.stringContaining('no library') });
      await until(() => engine.status().state === 'failed');
      const before = spawns;
      await expect(engine.report()).rejects.toMatchObject({ code: 'engine-unavailable' });
      expect(spawns).toBe(before);
    } finally {
      await engine.dispose();
    }
  });

  test('it reports devices, memory, versions and a passing self-test, on one copy of ggml', async () => {
    const engine = supervise();
    try {
      const report = await engine.report();
      expect(report.selfTest).toMatchObject({ ok: true });
      expect(report.devices.map(({ backend }) => backend)).toContain('cpu');
      expect(report.cpuModule.isOwn).toBe(true);
      const { pid } = engine.status();
      if (process.platform === 'linux') {
        const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
        const copies = new Set(maps.split('\n').flatMap((line) => /\S*libggml-base\S*/.exec(line) ?? []));
        expect([...copies]).toHaveLength(1);
      }
      await until(() => engine.status().memory.engineBytes > 0);
    } finally {
      await engine.dispose();
    }
  });

  test('unloading gives the memory back, and a model in use is not unloaded', async () => {
    const engine = supervise();
    try {
      const abort = new AbortController();
      const run = collect(engine.answer(ask(endless), { signal: abort.signal }));
      await until(() => engine.status().tokensPerSecond !== null);
      await expect(engine.unload()).rejects.toMatchObject({ code: 'conflict' });
      abort.abort();
      await run;
      await until(() => engine.status().loadedModel !== null);
      await engine.unload();
      expect(engine.status().loadedModel).toBeNull();
    } finally {
      await engine.dispose();
    }
  });

  test('it ends with the studio that started it', async () => {
    const script = `import { spawnNodeEngine } from ${JSON.stringify(join(import.meta.dirname, '../../main/engine/spawn-node.ts'))};
      const engine = await spawnNodeEngine(${JSON.stringify(builtEngine)})({ env: {} });
      console.log(engine.pid); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300);`;
    const path = join(folder.path, 'parent.ts');
    await writeFile(path, script);
    let pid = 0;
    try {
      execFileSync(process.execPath, [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (thrown) {
      pid = Number((thrown as { stdout: string }).stdout.trim());
    }
    expect(pid).toBeGreaterThan(0);
    await until(() => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    });
  });
});

describe('hostile model files', () => {
  const huge = 1n << 60n;
  const text = { type: 'string', value: 'llama' } as const;
  const tensor = { name: 'a', shape: [64, 64], values: new Float32Array(64 * 64) };
  const files: Record<string, Buffer> = {
    'empty.gguf': Buffer.alloc(0),
    'zeros.gguf': Buffer.alloc(1 << 16),
    'text.gguf': Buffer.from('GGUF but not really, just text that begins like it'),
    'tensor-count.gguf': encodeGguf({ 'general.architecture': text }, [tensor], { tensorCount: huge }),
    'pair-count.gguf': encodeGguf({ 'general.architecture': text }, [tensor], { pairCount: huge }),
    'offset.gguf': encodeGguf({ 'general.architecture': text }, [tensor], { offsetOf: () => huge }),
    'wrapped-offset.gguf': encodeGguf({ 'general.architecture': text }, [tensor], {
      offsetOf: () => (1n << 64n) - 32n,
    }),
    'shape.gguf': encodeGguf({ 'general.architecture': text }, [{ ...tensor, shape: [2 ** 31, 2 ** 31, 2 ** 31] }]),
    'twice.gguf': encodeGguf({ 'general.architecture': text }, [tensor, tensor]),
    'cut.gguf': tinyGguf().subarray(0, 40_000),
    'cut-header.gguf': tinyGguf().subarray(0, 900),
    'no-architecture.gguf': tinyGguf({ metadata: { 'general.architecture': null } }),
    'alignment.gguf': tinyGguf({ metadata: { 'general.alignment': { type: 'u32', value: 0 } } }),
  };

  test.each(Object.keys(files))('%s is refused by name, and the engine lives', async (name) => {
    const engine = supervise();
    try {
      const path = join(folder.path, name);
      await writeFile(path, files[name] ?? '');
      const { status, problem } = await engine.inspect(path);
      expect(status).toBe('broken');
      expect(problem).toMatchObject({ code: 'bad-file', message: expect.stringContaining(name) });
      expect(engine.status().restarts).toBe(0);
    } finally {
      await engine.dispose();
    }
  });

  test('a model without a tokenizer is not run, because the library would abort', async () => {
    const engine = supervise();
    try {
      const path = join(folder.path, 'no-vocab.gguf');
      await writeTinyGguf(path, { metadata: { 'tokenizer.ggml.model': { type: 'string', value: 'no_vocab' } } });
      expect(await engine.inspect(path)).toMatchObject({ status: 'not-yet', problem: { code: 'not-supported' } });
    } finally {
      await engine.dispose();
    }
  });

  test('a chat template that does not parse, loops or fails costs one answer at most', async () => {
    const open = await openStudio(join(folder.path, 'templates'), 500);
    try {
      for (const [name, template] of [
        ['broken', '{% for m in messages %}{{ m'],
        ['raises', "{{ raise_exception('no') }}"],
        ['loops', '{% for a in range(100000000) %}{% for b in range(100000000) %}x{% endfor %}{% endfor %}'],
      ] as const) {
        const path = join(folder.path, `${name}-template.gguf`);
        await writeTinyGguf(path, { metadata: { 'tokenizer.chat_template': { type: 'string', value: template } } });
        const modelId = await addModel(open, path);
        const { id } = await open.client.chat.create({ modelId });
        await open.client.chat.update({ conversationId: id, sampler: { ...defaultSampler, maxTokens: 4 } });
        await open.client.chat.send({ conversationId: id, text: 'Hi' });
        if (name === 'loops') {
          await follow(open.client, id, (_path, event) => event.type === 'stage' || event.type === 'delta');
          await open.client.chat.stop({ conversationId: id });
        }
        const answer = await answered(open.client, id);
        expect(['complete', 'failed', 'stopped']).toContain(answer.status);
      }
      const modelId = await addModel(open, tiny);
      const { id } = await open.client.chat.create({ modelId });
      await open.client.chat.send({ conversationId: id, text: 'Hi' });
      expect((await answered(open.client, id)).status).toBe('complete');
    } finally {
      await open.close();
    }
  });
});

describe('a model larger than memory', () => {
  test('is refused in a sentence before it takes any, and the estimate says by how much', async () => {
    const open = await openStudio(join(folder.path, 'large'));
    try {
      const path = join(folder.path, 'deep.gguf');
      await writeTinyGguf(path, { layers: 96, contextLength: 10_000_000 });
      const modelId = await addModel(open, path);
      // 96 layers of 128 bytes for each of ten million tokens: 123 GB.
      expect((await open.client.models.fit({ modelId, contextLength: 10_000_000 })).verdict).toBe('too-large');
      const { id } = await open.client.chat.create({ modelId });
      await open.client.chat.update({ conversationId: id, contextSize: 10_000_000 });
      await open.client.chat.send({ conversationId: id, text: 'Hi' });
      const answer = await answered(open.client, id);
      expect(answer).toMatchObject({ status: 'failed', error: { code: 'out-of-memory' } });
      expect(answer.error?.message).toContain('10000000 tokens');
      // A few words do: 96 layers are slow on a busy machine.
      await open.client.chat.update({
        conversationId: id,
        contextSize: 512,
        sampler: { ...defaultSampler, maxTokens: 8 },
      });
      await open.client.chat.regenerate({ messageId: answer.id });
      expect((await answered(open.client, id)).status).toBe('complete');
    } finally {
      await open.close();
    }
  });
});

describe('a studio that ends in the middle', () => {
  test('an answer in the making is kept as interrupted', async () => {
    const data = join(folder.path, 'interrupted');
    const open = await openStudio(data);
    const modelId = await addModel(open, endless);
    const { id } = await open.client.chat.create({ modelId });
    await open.client.chat.send({ conversationId: id, text: 'Go.' });
    await follow(open.client, id, (path) => (path.at(-1)?.text.length ?? 0) > 50);
    await open.close();
    const again = await openStudio(data);
    try {
      const path = await follow(again.client, id, () => true);
      expect(path.at(-1)).toMatchObject({ status: 'interrupted' });
      expect(path.at(-1)?.text.length).toBeGreaterThan(50);
    } finally {
      await again.close();
    }
  });
});
