import type { Model } from '../../../contract/models.ts';
import type { CommandContext } from './program.ts';
import { formatBytes, formatTable, printJson, withStudio } from './with-studio.ts';

export async function listModels(context: CommandContext): Promise<void> {
  const models = await withStudio(context, (studio) => studio.models.list());
  print(context, models, 'No models yet. Add some with: lutra models add FOLDER');
}

/** Adds what is at `path` and prints it. Fails when a model in it is broken and nothing else was found. */
export async function addModels(context: CommandContext, path: string): Promise<void> {
  const models = await withStudio(context, (studio) => studio.models.addPath(path));
  print(context, models, `No models under ${path}.`);
}

function print(context: CommandContext, models: readonly Model[], none: string): void {
  if (context.json) return printJson(models);
  if (models.length === 0) return void process.stdout.write(`${none}\n`);
  process.stdout.write(`${formatTable([['NAME', 'KIND', 'SIZE', 'QUANT', 'STATUS'], ...models.map(row)])}\n`);
  for (const model of models) {
    if (model.problem !== null) process.stdout.write(`\n${model.name}: ${model.problem.message}\n`);
  }
}

function row(model: Model): readonly string[] {
  return [model.name, model.kind ?? '?', formatBytes(model.sizeBytes), model.quantization ?? '?', model.status];
}
