import { resolve } from 'node:path';
import type { CommandContext, QuantizeArguments } from './program.ts';
import { formatBytes, interruptSignal, printJson, withStudio } from './with-studio.ts';

/** Makes a LUT folder and says what it cost, tensor by tensor. */
export async function quantize(
  context: CommandContext,
  args: QuantizeArguments & { readonly source: string; readonly destination: string },
): Promise<void> {
  await withStudio(context, async (studio) => {
    const { threads } = studio.settings.get();
    const destination = resolve(args.destination);
    const events = studio.engine.quantize(
      {
        source: resolve(args.source),
        destination,
        bits: Number(args.bits),
        groupSize: Number(args.groupSize),
        table: args.table,
        skip: args.skip,
        threads,
        calibrationPath: args.calibrate === undefined ? null : resolve(args.calibrate),
      },
      { signal: interruptSignal() },
    );
    const begunAt = performance.now();
    for await (const { fraction, report } of events) {
      if (report === null) {
        if (!context.json && process.stderr.isTTY) process.stderr.write(`\r${progressLine(fraction, begunAt)}`);
        continue;
      }
      if (context.json) {
        printJson({ destination, ...report });
        continue;
      }
      for (const { name, relativeError } of report.tensors)
        process.stdout.write(`${(relativeError * 100).toFixed(2).padStart(6)} %  ${name}\n`);
      process.stdout.write(`${formatBytes(report.sourceBytes)} became ${formatBytes(report.bytes)}: ${destination}\n`);
    }
  });
}

function progressLine(fraction: number, begunAt: number): string {
  const seconds = (performance.now() - begunAt) / 1000;
  const left = fraction > 0.02 ? `, ${Math.ceil((seconds / fraction) * (1 - fraction))} s left` : '';
  return `${Math.floor(fraction * 100)} %${left}   `;
}
