import fc from 'fast-check';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  containedPath,
  contentSecurityPolicy,
  mimeTypeOf,
  safeExternalUrl,
  securityHeaders,
} from '../../../main/app/security.ts';

describe('the content security policy', () => {
  test('lets nothing in by default and names each exception', () => {
    expect(contentSecurityPolicy('abc').split('; ')).toEqual([
      "default-src 'none'",
      "script-src 'self' 'wasm-unsafe-eval'",
      "style-src 'self' 'nonce-abc'",
      "img-src 'self' blob: data: media:",
      "media-src 'self' blob: media:",
      "font-src 'self'",
      "worker-src 'self' blob:",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'none'",
    ]);
  });

  test('never allows inline scripts, eval or another origin', () => {
    for (const policy of [contentSecurityPolicy('abc'), contentSecurityPolicy(null)]) {
      expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|https?:/);
    }
  });

  test('goes with every answer, as does the ban on guessing types', () => {
    expect(securityHeaders(null)).toMatchObject({
      'content-security-policy': contentSecurityPolicy(null),
      'x-content-type-options': 'nosniff',
    });
  });
});

describe('an address to open outside', () => {
  test.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' \tjavascript:alert(1)',
    'smb://host/share',
    'ms-msdt:/id',
    'ms-officecmd:{}',
    'data:text/html,x',
    'vbscript:x',
    'app://studio/',
    'media://grant/x',
    '\\\\host\\share',
    '//host/share',
    'C:\\Windows',
    'https://user:secret@example.org/',
    'https://user@example.org/',
    'http://',
    '',
    `https://example.org/${'a'.repeat(5000)}`,
  ])('%j is refused', (url) => expect(safeExternalUrl(url)).toBeNull());

  test('on the web comes back in its normal form', () => {
    expect(safeExternalUrl('HTTPS://Example.org/a b')).toBe('https://example.org/a%20b');
    expect(safeExternalUrl('http://127.0.0.1:1/')).toBe('http://127.0.0.1:1/');
  });

  test('that is accepted is always http(s) without a secret, whatever was asked', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((text) => `https:${text}`),
        ),
        (text) => {
          const safe = safeExternalUrl(text);
          if (safe === null) return;
          const { protocol, username, password } = new URL(safe);
          expect(['http:', 'https:']).toContain(protocol);
          expect(username + password).toBe('');
          expect(safeExternalUrl(safe)).toBe(safe);
        },
      ),
    );
  });
});

describe('a requested path', () => {
  let folder = '';
  let root = '';
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'lutra served ü ')));
    root = join(folder, 'page');
    await mkdir(join(root, 'assets'), { recursive: true });
    await mkdir(join(folder, 'page-secret'));
    await writeFile(join(root, 'index.html'), 'page');
    await writeFile(join(root, 'assets', 'a b ü.js'), 'script');
    await writeFile(join(folder, 'secret.txt'), 'secret');
    await writeFile(join(folder, 'page-secret', 'x.txt'), 'secret');
    await symlink(join(folder, 'secret.txt'), join(root, 'link.txt'));
    await symlink(join(root, 'index.html'), join(root, 'inside.html'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('leads to the file under the root, decoded once', async () => {
    expect(await containedPath(root, '/index.html')).toBe(join(root, 'index.html'));
    expect(await containedPath(root, '/assets/a%20b%20%C3%BC.js')).toBe(join(root, 'assets', 'a b ü.js'));
    expect(await containedPath(root, '/inside.html')).toBe(join(root, 'index.html'));
  });

  test.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/%252e%252e/secret.txt',
    '/assets/../../secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '/..\\secret.txt',
    '/../page-secret/x.txt',
    '/index.html%00.js',
    '/C:/Windows/win.ini',
    '/%',
    '/link.txt',
    '/assets',
    '/missing.html',
    '/',
    '',
  ])('%j is refused', async (path) => expect(await containedPath(root, path)).toBeNull());

  test('never leaves the root, whatever was asked', async () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '',
      '%2e%2e',
      '%2E%2E',
      '%2f',
      '%5c',
      '\\',
      'secret.txt',
      'page-secret',
      'link.txt',
      'assets',
      'index.html',
      '%00',
      '~',
    );
    const path = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((parts) => `/${parts.join('/')}`),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(path, async (asked) => {
        const found = await containedPath(root, asked);
        expect(found === null || found.startsWith(root + sep)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

test('a file type is told by its ending, and an unknown one is bytes', () => {
  expect(mimeTypeOf('/a/B.JS')).toBe('text/javascript; charset=utf-8');
  expect(mimeTypeOf('clip.webm')).toBe('video/webm');
  for (const path of ['x.exe', 'x', 'x.htm', 'x.xhtml', 'x.xml'])
    expect(mimeTypeOf(path)).toBe('application/octet-stream');
});
