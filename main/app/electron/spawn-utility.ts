/** Starts the engine as a utility process: the packaged app cannot run as plain Node. */
import { utilityProcess } from 'electron';
import { once } from 'node:events';
import { messagePortTransport } from '../../../contract/rpc/message-port.ts';
import { LogTail } from '../../engine/log-tail.ts';
import type { EngineProcess, SpawnEngine } from '../../host.ts';
import { exitStatus } from '../desktop/exit-status.ts';

/** `entry` is the built worker. The child ends with its parent. */
export function spawnUtilityEngine(entry: string): SpawnEngine {
  return async ({ env }) => {
    const child = utilityProcess.fork(entry, [], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      serviceName: 'Lutra engine',
    });
    const log = new LogTail();
    child.stdout?.on('data', (chunk: Buffer) => log.add(chunk));
    child.stderr?.on('data', (chunk: Buffer) => log.add(chunk));
    child.on('error', (type, location) => log.add(Buffer.from(`\n${type} at ${location}\n`)));
    const transport = messagePortTransport({
      postMessage: (frame) => child.postMessage(frame),
      close: () => void child.kill(),
      on: (type, listener) =>
        type === 'close'
          ? child.once('exit', () => listener({}))
          : child.on(type as 'message', (data) => listener({ data })),
    });
    const failed = once(child, 'exit').then(() => Promise.reject(new Error(`The engine did not start. ${log.text}`)));
    await Promise.race([once(child, 'spawn'), failed]);
    failed.catch(() => undefined);
    const engine: EngineProcess = {
      pid: child.pid ?? -1,
      transport,
      // `child.kill()` asks politely; a model in mid-computation would not hear it.
      kill: () => {
        if (child.pid !== undefined) process.kill(child.pid, 'SIGKILL');
      },
      onExit: null,
    };
    child.once('exit', (code) => engine.onExit?.({ ...exitStatus(code, process.platform), log: log.text }));
    return engine;
  };
}
