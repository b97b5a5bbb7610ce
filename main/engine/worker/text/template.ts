/**
 * A model's chat template, which is a program from a stranger: it runs on a thread of its own that is ended when it
 * takes too long.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LutraError } from '../../../../contract/errors.ts';
import { badFile } from '../inspect/bad-file.ts';
import { readJsonFile, readTextFile } from './files.ts';
import type { Json } from './files.ts';
import type { PromptPart } from './tokenizer.ts';

/** What templates of models that look take for a message's content. */
type TemplateContent =
  | string
  | readonly ({ readonly type: 'image' } | { readonly type: 'text'; readonly text: string })[];

export interface RenderOptions {
  /** The first thing that the user says is about a picture. */
  readonly hasPicture?: boolean;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Of the thread's processor time, so that a busy machine fails no template. */
const defaultTimeLimitMs = 2000;
const maximumCharacters = 20_000_000;

/** Where a model brings none. */
const plainTemplate = `{%- for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`;

/** On the thread: compiles a template once, and renders it for each request. */
const threadCode = `
const { parentPort, workerData } = require('node:worker_threads');
const { Template } = require(workerData.jinja);
let template = null;
parentPort.on('message', ({ id, context }) => {
  try {
    template ??= new Template(workerData.source);
    const text = template.render(context);
    if (text.length > workerData.maximumCharacters) throw new Error('it writes more than a prompt can hold');
    parentPort.postMessage({ id, text });
  } catch (thrown) {
    parentPort.postMessage({ id, error: thrown instanceof Error ? thrown.message : String(thrown) });
  }
});
`;

interface Reply {
  readonly id: number;
  readonly text?: string;
  readonly error?: string;
}

export interface TemplateOptions {
  /** For messages: where the template came from. */
  readonly path: string;
  readonly source: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** How much of the processor's time a prompt may take. */
  readonly timeLimitMs?: number;
  /** True for the plain format of models that bring no template. */
  readonly isFallback?: boolean;
}

export class ChatTemplate {
  readonly isFallback: boolean;
  readonly #options: TemplateOptions;
  #worker: Worker | null = null;
  #lastId = 0;

  constructor(options: TemplateOptions) {
    this.#options = options;
    this.isFallback = options.isFallback === true;
  }

  /**
   * The prompt up to where the model goes on. What people wrote is set apart from what the template wrote.
   * Fails with `bad-file` that names the template: it throws, does not end, or writes far too much.
   */
  async render(messages: readonly ChatMessage[], options: RenderOptions = {}): Promise<PromptPart[]> {
    try {
      return await this.#renderApart(messages, options);
    } catch (thrown) {
      const [first, second, ...rest] = messages;
      if (first?.role !== 'system' || second === undefined || !(thrown instanceof TemplateRefusal)) throw thrown;
      // Some models know no system prompt: it goes before the first message.
      const merged = { role: second.role, content: `${first.content}\n\n${second.content}` };
      return this.#renderApart([merged, ...rest], options);
    }
  }

  dispose(): void {
    void this.#worker?.terminate();
    this.#worker = null;
  }

  async #renderApart(messages: readonly ChatMessage[], { hasPicture }: RenderOptions): Promise<PromptPart[]> {
    // Marks that nobody can guess stand for the messages. Around each a space of a rare kind, to see whether the
    // template trims it.
    const secret = randomBytes(12).toString('hex');
    const padding = '\u2003';
    const marks = messages.map((_, index) => `lutra${secret}x${index}x`);
    const pictured = hasPicture === true ? messages.findIndex(({ role }) => role === 'user') : -1;
    const rendered = await this.#run(
      messages.map(({ role }, index) => {
        const text = `${padding}${marks[index]}${padding}`;
        return { role, content: index === pictured ? [{ type: 'image' }, { type: 'text', text }] : text };
      }),
    );
    const parts: PromptPart[] = [];
    let rest = rendered;
    for (const [index, mark] of marks.entries()) {
      const at = rest.indexOf(mark);
      if (at === -1) return this.#renderWhole(messages);
      const isPadded = at > 0 && rest[at - 1] === padding;
      const content = messages[index]?.content ?? '';
      parts.push({ text: rest.slice(0, isPadded ? at - 1 : at), isTrusted: true });
      parts.push({ text: isPadded ? content : content.trim(), isTrusted: false });
      rest = rest.slice(at + mark.length);
      if (rest.startsWith(padding)) rest = rest.slice(1);
    }
    parts.push({ text: rest, isTrusted: true });
    return parts;
  }

  /** For templates that change or leave out what they are given: what looks like a special token is broken up. */
  async #renderWhole(messages: readonly ChatMessage[]): Promise<PromptPart[]> {
    const broken = messages.map(({ role, content }) => ({ role, content: content.replace(/<(?=[|/s])/g, '< ') }));
    return [{ text: await this.#run(broken), isTrusted: true }];
  }

  #run(messages: readonly { readonly role: string; readonly content: TemplateContent }[]): Promise<string> {
    const { path, source, variables, timeLimitMs = defaultTimeLimitMs } = this.#options;
    this.#worker ??= new Worker(threadCode, {
      eval: true,
      workerData: { source, maximumCharacters, jinja: createRequire(import.meta.url).resolve('@huggingface/jinja') },
    });
    const worker = this.#worker;
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const onMessage = (reply: Reply): void => {
      if (reply.id !== id) return;
      if (reply.text === undefined) reject(new TemplateRefusal(path, reply.error ?? ''));
      else resolve(reply.text);
    };
    const onFault = (thrown: Error): void => {
      if (this.#worker === worker) this.#worker = null;
      reject(badFile(path, `the chat template cannot be run (${thrown.message})`));
    };
    const onExit = (): void => {
      onFault(new Error('its thread has ended'));
    };
    let isSettled = false;
    let timer: NodeJS.Timeout;
    const before = processorMs(worker);
    const watch = (ms: number): void => {
      timer = setTimeout(() => {
        void Promise.all([before, processorMs(worker)]).then(([start, now]) => {
          if (isSettled) return;
          const left = timeLimitMs - (now - start);
          if (left > 0) {
            watch(left);
            return;
          }
          this.dispose();
          reject(badFile(path, 'the chat template does not end', 'Get the model’s chat template again.'));
        });
      }, ms);
    };
    watch(timeLimitMs);
    worker.on('message', onMessage);
    worker.once('error', onFault);
    worker.once('exit', onExit);
    worker.postMessage({ id, context: { ...variables, messages, add_generation_prompt: true } });
    return promise.finally(() => {
      isSettled = true;
      clearTimeout(timer);
      worker.off('message', onMessage);
      worker.off('error', onFault);
      worker.off('exit', onExit);
      // It need not keep the process alive.
      worker.unref();
    });
  }
}

/** What a thread has used of the processor; 0 before it runs and after it has ended. */
async function processorMs(worker: Worker): Promise<number> {
  try {
    const { user, system } = await worker.cpuUsage();
    return (user + system) / 1000;
  } catch {
    return 0;
  }
}

/** What a template itself says is wrong. */
class TemplateRefusal extends LutraError {
  constructor(path: string, message: string) {
    super(badFile(path, `the chat template refuses this chat: ${message}`).toData());
  }
}

function templateIn(config: Json | null): string | null {
  const value = config?.['chat_template'];
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named = value as { name?: unknown; template?: unknown }[];
  const chosen = named.find(({ name }) => name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : null;
}

/** `chat_template.jinja`, else the one in tokenizer_config.json, else a plain format. */
export async function loadTemplate(
  folder: string,
  tokens: { readonly bosToken: string; readonly eosToken: string },
  timeLimitMs?: number,
): Promise<ChatTemplate> {
  const file = await readTextFile(folder, 'chat_template.jinja');
  const source = file ?? templateIn(await readJsonFile(folder, 'tokenizer_config.json'));
  return new ChatTemplate({
    path: join(folder, file === null ? 'tokenizer_config.json' : 'chat_template.jinja'),
    source: source ?? plainTemplate,
    variables: { bos_token: tokens.bosToken, eos_token: tokens.eosToken },
    isFallback: source === null,
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  });
}
