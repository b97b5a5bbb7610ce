/** How a utility process ended. */
import { constants } from 'node:os';

const coreDumped = 0x80;
const fatalSignals = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGSEGV', 'SIGTERM'] as const;

/**
 * Chromium reports the bare signal number on POSIX, with 128 added where a core was written, in the place of
 * the exit code. The engine itself ends with 0 or 1 only, so nothing is confused.
 */
export function exitStatus(code: number, platform: NodeJS.Platform): { code: number | null; signal: string | null } {
  if (platform === 'win32') return { code, signal: null };
  const number = code >= coreDumped && code < 2 * coreDumped ? code - coreDumped : code;
  const signal = fatalSignals.find((name) => constants.signals[name] === number);
  return signal === undefined ? { code, signal: null } : { code: null, signal };
}
