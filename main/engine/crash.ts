/** Why the engine process ended, in a sentence. */
import type { ErrorData } from '../../contract/errors.ts';

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly log: string;
}

const again = 'It starts again by itself. Try again; if it stops again, check the model file or choose another model.';
const smaller = 'Close other programs, choose a smaller model, or lower the context size.';

/** `doing` completes "while it …", e.g. `answered with "tiny"`; null when it was idle. */
export function describeCrash({ code, signal, log }: EngineExit, doing: string | null): ErrorData {
  const during = doing === null ? '' : ` while it ${doing}`;
  if (/out of memory|bad_alloc|failed to allocate|cannot allocate/i.test(log)) {
    return { code: 'out-of-memory', message: `The engine ran out of memory${during}.`, hint: smaller };
  }
  const why = reason(code, signal, log);
  const hint = signal === 'SIGKILL' ? `If nobody ended it, memory ran out. ${smaller}` : again;
  return { code: 'engine-crashed', message: `The engine stopped${during}: ${why}.`, hint };
}

function reason(code: number | null, signal: string | null, log: string): string {
  const assertion = /(GGML_ASSERT\([^\n]*\) failed)/.exec(log)?.[1];
  if (assertion !== undefined) return `a check in the model library failed, ${assertion}`;
  switch (signal) {
    case 'SIGKILL':
      return 'it was killed from outside';
    case 'SIGSEGV':
    case 'SIGBUS':
      return `it touched memory that is not there (${signal})`;
    case 'SIGABRT':
      return 'it gave up (SIGABRT)';
    case 'SIGILL':
      return 'it met an instruction that this processor does not have (SIGILL)';
    case null: {
      const last = log.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
      return last === '' ? `it ended with code ${code}` : `it ended with code ${code}, ${last}`;
    }
    default:
      return `it was ended by ${signal}`;
  }
}
