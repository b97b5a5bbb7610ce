/** What the page and its decoding worker say to each other. */
import type { ClipFacts, ClipFrame, ClipRequest } from '../../../contract/caption.ts';
import type { ErrorData } from '../../../contract/errors.ts';

export type ToWorker =
  | { readonly type: 'decode'; readonly request: ClipRequest; readonly sizeBytes: number }
  | { readonly type: 'bytes'; readonly readId: number; readonly bytes: Uint8Array }
  | { readonly type: 'unreadable'; readonly readId: number; readonly message: string }
  | { readonly type: 'drop'; readonly requestId: string };

export type FromWorker =
  | {
      readonly type: 'read';
      readonly requestId: string;
      readonly readId: number;
      readonly start: number;
      readonly end: number;
    }
  | { readonly type: 'facts'; readonly requestId: string; readonly facts: ClipFacts }
  | { readonly type: 'frames'; readonly requestId: string; readonly frames: ClipFrame[]; readonly isLast: boolean }
  | { readonly type: 'failed'; readonly requestId: string; readonly error: ErrorData };
