/** Starts the engine as a child of plain Node. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { EngineProcess, SpawnEngine } from '../host.ts';
import { processTransport } from './process-transport.ts';
import type { ChannelEnd } from './process-transport.ts';
import { LogTail } from './log-tail.ts';

/** `entry` is the built worker. The child ends with its parent. */
export function spawnNodeEngine(entry: string): SpawnEngine {
  return async ({ env }) => {
    const child = fork(entry, [], {
      env: { ...process.env, ...env },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const log = new LogTail();
    child.stdout?.on('data', (chunk: Buffer) => log.add(chunk));
    child.stderr?.on('data', (chunk: Buffer) => log.add(chunk));
    const engine: EngineProcess = {
      pid: child.pid ?? -1,
      transport: processTransport(child as unknown as ChannelEnd),
      kill: () => void child.kill('SIGKILL'),
      onExit: null,
    };
    child.once('exit', (code, signal) => engine.onExit?.({ code, signal, log: log.text }));
    await once(child, 'spawn');
    return engine;
  };
}
