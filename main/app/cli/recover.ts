import { recoverStore } from '../../store/recover.ts';
import type { CommandContext } from './program.ts';

export async function recover(context: CommandContext, choice: 'restore-newest' | 'start-fresh'): Promise<void> {
  const outcome = await recoverStore(context.dataFolder, choice);
  process.stdout.write(`${outcome}\n`);
}
