import { cpus, release, totalmem } from 'node:os';
import type { EngineReport } from '../../../contract/engine.ts';
import { toErrorData } from '../../../contract/errors.ts';
import type { ErrorData } from '../../../contract/errors.ts';
import type { CommandContext } from './program.ts';
import { formatBytes, printJson, withStudio } from './with-studio.ts';

interface Findings {
  readonly machine: { system: string; cpu: string; cores: number; memoryBytes: number; node: string };
  readonly data: { folder: string; ok: boolean; problem: ErrorData | null };
  readonly engine: { report: EngineReport | null; problem: ErrorData | null };
}

/** True when all is well. */
export async function doctor(context: CommandContext): Promise<boolean> {
  const processors = cpus();
  const found: Findings = {
    machine: {
      system: `${process.platform} ${process.arch} ${release()}`,
      cpu: processors[0]?.model ?? 'unknown',
      cores: processors.length,
      memoryBytes: totalmem(),
      node: process.version,
    },
    ...(await lookAtStudio(context)),
  };
  if (context.json) printJson(found);
  else process.stdout.write(`${describe(found).join('\n')}\n`);
  return found.data.ok && found.engine.problem === null && found.engine.report?.selfTest.ok === true;
}

async function lookAtStudio(context: CommandContext): Promise<Pick<Findings, 'data' | 'engine'>> {
  const folder = context.dataFolder;
  try {
    return await withStudio(context, async (studio) => ({
      data: { folder, ...(({ ok, problem }) => ({ ok, problem }))(await studio.health()) },
      engine: await studio.engine
        .report()
        .then((report) => ({ report, problem: null }))
        .catch((thrown: unknown) => ({ report: null, problem: toErrorData(thrown) })),
    }));
  } catch (thrown) {
    const problem = toErrorData(thrown);
    return { data: { folder, ok: false, problem }, engine: { report: null, problem } };
  }
}

const mark = (ok: boolean): string => (ok ? 'ok  ' : 'FAIL');

function describe({ machine, data, engine }: Findings): string[] {
  const lines = [
    `Machine   ${machine.system}, ${machine.cpu}, ${machine.cores} logical cores, ${formatBytes(machine.memoryBytes)}`,
    `Node      ${machine.node}`,
    `Data      ${mark(data.ok)} ${data.folder}`,
  ];
  if (data.problem !== null) lines.push(...problemLines(data.problem));
  const { report, problem } = engine;
  if (report === null) {
    lines.push(`Engine    ${mark(false)}`);
    if (problem !== null && problem !== data.problem) lines.push(...problemLines(problem));
    return lines;
  }
  lines.push(
    `Engine    ${mark(report.selfTest.ok)} ggml ${report.versions.ggml}, node-llama-cpp ${report.versions.nodeLlamaCpp}`,
  );
  lines.push(
    `          CPU module: ${report.cpuModule.isOwn ? 'our own build' : 'the prebuilt one'}. ${report.cpuModule.note}`,
  );
  for (const device of report.devices) {
    const memory = `${formatBytes(device.memoryFreeBytes)} free of ${formatBytes(device.memoryTotalBytes)}`;
    lines.push(`Device    ${device.backend}: ${device.description}, ${memory}`);
    if (device.runsFolders && device.backend !== 'cpu')
      lines.push('          Runs models from folders: as many of their last layers as fit, the CPU those before them.');
    if (device.features.length > 0) lines.push(`          ${device.features.join(' ')}`);
  }
  for (const { backend, reason } of report.unavailable) lines.push(`No ${backend.padEnd(6)} ${reason}`);
  for (const check of report.selfTest.checks) lines.push(`Check     ${mark(check.ok)} ${check.name}: ${check.detail}`);
  return lines;
}

function problemLines(problem: ErrorData): string[] {
  return [`          ${problem.message}`, ...(problem.hint === undefined ? [] : [`          ${problem.hint}`])];
}
