/** Answers of the desktop's own schemes: `app://studio/` is the built page, `media://grant/<id>` a granted file. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { toErrorData } from '../../../contract/errors.ts';
import type { ResolvedGrant } from '../../files/service.ts';
import { parseRange } from '../http/ranges.ts';
import { originOf, pageOrigin } from './origin.ts';
import { containedPath, mimeTypeOf, securityHeaders } from '../security.ts';

/** A file of the built page under `root`; `index.html` with a fresh nonce in its policy and its text. */
export function answerPage(root: string, request: Request): Promise<Response> {
  return answered(request, async () => {
    if (originOf(request.url) !== pageOrigin) return null;
    const { pathname } = new URL(request.url);
    const path = await containedPath(root, pathname === '/' ? '/index.html' : pathname);
    if (path === null) return null;
    if (!path.endsWith('index.html')) return fileAnswer(path, request, {});
    const nonce = randomBytes(16).toString('base64');
    const html = (await readFile(path, 'utf8')).replaceAll('__CSP_NONCE__', nonce);
    const type = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
    return new Response(html, { headers: { ...securityHeaders(nonce), ...type } });
  });
}

/** The file behind a grant, or the part of it that a `Range` asks for. The page never names a path. */
export function answerMedia(resolveGrant: (id: string) => ResolvedGrant, request: Request): Promise<Response> {
  return answered(request, async () => {
    const { host, pathname } = new URL(request.url);
    const { path, isFolder } = resolveGrant(host === 'grant' ? pathname.slice(1) : '');
    if (isFolder) return null;
    // The page is app://studio, so media is always of another origin; only our page can ask for it.
    return fileAnswer(path, request, { 'cache-control': 'no-store', 'cross-origin-resource-policy': 'cross-origin' });
  });
}

async function fileAnswer(path: string, request: Request, extra: Record<string, string>): Promise<Response> {
  const { size } = await stat(path);
  const headers = { ...securityHeaders(null), ...extra, 'content-type': mimeTypeOf(path), 'accept-ranges': 'bytes' };
  const range = parseRange(request.headers.get('range') ?? undefined, size);
  if (range === 'unsatisfiable') {
    return new Response(null, { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } });
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const isEmpty = request.method === 'HEAD' || size === 0;
  const body = isEmpty ? null : (Readable.toWeb(createReadStream(path, { start, end })) as ReadableStream);
  const length = { 'content-length': String(end - start + 1) };
  if (range === null) return new Response(body, { headers: { ...headers, ...length } });
  const contentRange = { 'content-range': `bytes ${start}-${end}/${size}` };
  return new Response(body, { status: 206, headers: { ...headers, ...length, ...contentRange } });
}

/** Null and whatever is thrown become 404: the page learns nothing of the disk. */
async function answered(request: Request, answer: () => Promise<Response | null>): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return words(405, 'Only GET is answered.');
  try {
    return (await answer()) ?? words(404, 'There is no such file.');
  } catch (thrown) {
    const { code, message } = toErrorData(thrown);
    return words(404, code === 'not-found' ? message : 'The file cannot be read.');
  }
}

function words(status: number, text: string): Response {
  const type = { 'content-type': 'text/plain; charset=utf-8' };
  return new Response(`${text}\n`, { status, headers: { ...securityHeaders(null), ...type } });
}
