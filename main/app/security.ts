/** What the page may load, where addresses may lead, and which files may be served: one truth for both hosts. */
import { realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

/** The policy of the page. `nonce` marks the style elements that the page makes itself. */
export function contentSecurityPolicy(nonce: string | null): string {
  const styles = nonce === null ? "style-src 'self'" : `style-src 'self' 'nonce-${nonce}'`;
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    styles,
    "img-src 'self' blob: data: media:",
    "media-src 'self' blob: media:",
    "font-src 'self'",
    "worker-src 'self' blob:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** Goes with every answer; `nonce` only with the page itself. */
export function securityHeaders(nonce: string | null): Record<string, string> {
  return {
    'content-security-policy': contentSecurityPolicy(nonce),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=(), payment=()',
  };
}

const longestUrl = 4096;

/** The address in its normal form when it is http(s) without a password in it, else null. */
export function safeExternalUrl(url: string): string | null {
  if (url.length > longestUrl) return null;
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return null;
  }
  const isWeb = parsed.protocol === 'https:' || parsed.protocol === 'http:';
  if (!isWeb || parsed.hostname === '' || parsed.username !== '' || parsed.password !== '') return null;
  return parsed.href;
}

/** The real path of a requested file when it exists under `root`, links followed; else null. Decodes once. */
export async function containedPath(root: string, requestPath: string): Promise<string | null> {
  let decoded: string;
  try {
    decoded = decodeURIComponent(requestPath);
  } catch {
    return null;
  }
  if (decoded.includes('\0') || decoded.includes('\\') || /%2e|%2f|%5c/i.test(decoded)) return null;
  const parts = decoded.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '..' || part === '.' || /^[a-z]:/i.test(part))) return null;
  try {
    const realRoot = await realpath(root);
    const path = await realpath(join(realRoot, ...parts));
    return path.startsWith(realRoot + sep) && (await stat(path)).isFile() ? path : null;
  } catch {
    return null;
  }
}

const mimeTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.ttf': 'font/ttf',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.mov': 'video/quicktime',
  '.mkv': 'video/x-matroska',
  '.wav': 'audio/wav',
  '.flac': 'audio/flac',
  '.mp3': 'audio/mpeg',
  '.ogg': 'audio/ogg',
  '.m4a': 'audio/mp4',
};

/** By extension; what is not known is plain bytes, which no browser runs. */
export function mimeTypeOf(path: string): string {
  return mimeTypes[extname(path).toLowerCase()] ?? 'application/octet-stream';
}
