/** Answers of the headless host: files of the built page, granted media, and plain words. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';
import { containedPath, mimeTypeOf, securityHeaders } from '../security.ts';
import { parseRange } from './ranges.ts';

export function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...securityHeaders(null), 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { ...securityHeaders(null), 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Sends a file of the built page; `index.html` with a fresh nonce in its policy and its text. */
export async function sendPageFile(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pathname = new URL(request.url ?? '/', 'http://host').pathname;
  const path = await containedPath(root, pathname === '/' ? '/index.html' : pathname);
  if (path === null) return sendText(response, 404, 'There is no such page.');
  if (path.endsWith('index.html')) {
    const nonce = randomBytes(16).toString('base64');
    const html = (await readFile(path, 'utf8')).replaceAll('__CSP_NONCE__', nonce);
    response.writeHead(200, {
      ...securityHeaders(nonce),
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : html);
    return;
  }
  // Names of built files carry a hash of their content.
  const cacheControl = pathname.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-cache';
  await sendFile(path, request, response, { 'cache-control': cacheControl });
}

/** Sends a file, or the part of it that a `Range` asks for. */
export async function sendFile(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const { size } = await stat(path);
  const common = {
    ...securityHeaders(null),
    ...headers,
    'content-type': mimeTypeOf(path),
    'accept-ranges': 'bytes',
  };
  const range = parseRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...common, 'content-range': `bytes */${size}` });
    response.end();
    return;
  }
  if (range === null) response.writeHead(200, { ...common, 'content-length': size });
  else {
    const contentRange = `bytes ${range.start}-${range.end}/${size}`;
    response.writeHead(206, {
      ...common,
      'content-length': range.end - range.start + 1,
      'content-range': contentRange,
    });
  }
  if (request.method === 'HEAD' || size === 0) {
    response.end();
    return;
  }
  await pipeline(createReadStream(path, range ?? {}), response);
}
