/** Devices, versions and the self-test, asked once per process. */
import { freemem, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { getModuleVersion } from 'node-llama-cpp';
import type { DeviceMemory, EngineReport } from '../../../contract/engine.ts';
import { toErrorData } from '../../../contract/errors.ts';
import type { Settings } from '../../../contract/settings.ts';
import { version } from '../../../package.json';
import { loadAddon, packageName } from '../addon.ts';
import type { Addon } from '../addon.ts';
import type { LlamaBackend } from './llama.ts';

export class Reporter {
  readonly #runtime: LlamaBackend;
  readonly #addonFolder: string;
  readonly #wantsCuda: boolean;
  #report: Promise<EngineReport> | null = null;
  #addon: Promise<Addon> | null = null;

  /** `entryFolder` is where the built worker lies. */
  constructor(runtime: LlamaBackend, entryFolder: string, device: Settings['device']) {
    this.#runtime = runtime;
    this.#wantsCuda = device === 'auto' || device === 'cuda';
    this.#addonFolder = resolve(entryFolder, '../../build/native', packageName(false));
  }

  /** What is missing is said in the report; it fails only where no model library can be loaded at all. */
  report(): Promise<EngineReport> {
    this.#report ??= this.#read().catch((thrown: unknown) => {
      this.#report = null;
      throw thrown;
    });
    return this.#report;
  }

  /** The GPU that a GGUF model would run on; null where there is none. */
  async gpu(): Promise<{ name: string; freeBytes: number } | null> {
    const llama = await this.#runtime.llama();
    const [name] = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
    return name === undefined ? null : { name, freeBytes: (await llama.getVramState()).free };
  }

  /** The card that a folder's model would run on, with its memory now; null where there is none. */
  async card(): Promise<DeviceMemory | null> {
    const cards = (await this.addon()).devices().filter(({ backend, runsFolders }) => backend !== 'cpu' && runsFolders);
    const [roomiest] = cards.sort((a, b) => b.memoryFreeBytes - a.memoryFreeBytes);
    if (roomiest === undefined) return null;
    const { description, memoryFreeBytes, memoryTotalBytes } = roomiest;
    return { name: description, freeBytes: memoryFreeBytes, totalBytes: memoryTotalBytes };
  }

  /** The same, but looks for nothing that was not looked for before. */
  async cardIfKnown(): Promise<DeviceMemory | null> {
    return this.#addon === null ? null : this.card().catch(() => null);
  }

  /** The addon uses the libraries that node-llama-cpp loaded, so that comes first. */
  addon(): Promise<Addon> {
    this.#addon ??= this.#runtime.libraries().then(({ gpu }) => loadAddon(this.#addonFolder, gpu, this.#wantsCuda));
    return this.#addon;
  }

  async #read(): Promise<EngineReport> {
    const versions = { lutra: version, nodeLlamaCpp: await getModuleVersion(), node: process.versions.node };
    await this.#runtime.libraries();
    try {
      const addon = await this.addon();
      return {
        devices: addon.devices(),
        versions: { ...versions, ggml: addon.ggmlVersion, addon: addon.addonVersion },
        cpuModule: addon.cpuModule,
        unavailable: addon.unavailable(),
        selfTest: await addon.selfTest(),
      };
    } catch (thrown) {
      this.#addon = null;
      const { message, hint } = toErrorData(thrown);
      const detail = hint === undefined ? message : `${message} ${hint}`;
      return {
        devices: [await this.#plainDevice()],
        versions: { ...versions, ggml: 'unknown', addon: 'not loaded' },
        cpuModule: { path: '', isOwn: false, note: 'Chat uses the prebuilt module.' },
        unavailable: [],
        selfTest: { ok: false, checks: [{ name: 'native addon', ok: false, detail }] },
      };
    }
  }

  async #plainDevice(): Promise<EngineReport['devices'][number]> {
    const llama = await this.#runtime.libraries();
    const names = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
    const vram = names.length > 0 ? await llama.getVramState() : null;
    return {
      backend: vram === null || llama.gpu === false ? 'cpu' : llama.gpu,
      name: names[0] ?? 'CPU',
      description: names[0] ?? 'CPU',
      memoryTotalBytes: vram?.total ?? totalmem(),
      memoryFreeBytes: vram?.free ?? freemem(),
      features: [],
      runsFolders: false,
    };
  }
}
