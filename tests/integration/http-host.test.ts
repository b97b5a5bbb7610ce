import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { contract } from '../../contract/index.ts';
import { connect } from '../../contract/rpc/client.ts';
import { webSocketTransport } from '../../contract/rpc/websocket.ts';
import type { WebSocketLike } from '../../contract/rpc/websocket.ts';
import { HttpHost } from '../../main/app/http/server.ts';
import type { Host } from '../../main/host.ts';
import { createStudio } from '../../main/studio.ts';
import type { Studio } from '../../main/studio.ts';
import { temporaryFolder } from '../fixtures/host.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** No engine is needed here: asking for one is a fault of the test. */
const host: Host = {
  kind: 'headless',
  version: '0.0.0',
  pickFiles: null,
  openExternal: null,
  spawnEngine: () => Promise.reject(new Error('no engine in this test')),
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let studio: Studio;
let server: HttpHost;
let cookie: string;
const addresses: string[] = [];

async function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port: server.port, path, ...options });
  outgoing.end(options.body);
  const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage];
  const body = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, body: body.toString() };
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const page = join(folder.path, 'page');
  await mkdir(join(page, 'assets'), { recursive: true });
  await writeFile(join(page, 'index.html'), '<meta property="csp-nonce" nonce="__CSP_NONCE__"><p>Lutra</p>');
  await writeFile(join(page, 'assets/app.js'), 'console.log(1)');
  await writeFile(join(folder.path, 'secret.txt'), 'secret');
  studio = await createStudio({ host, dataFolder: join(folder.path, 'data') });
  server = await HttpHost.listen({
    studio,
    pageFolder: page,
    port: 0,
    pageUrl: null,
    onAddress: (address) => addresses.push(address),
  });
  const signedIn = await ask(new URL(addresses[0] ?? '').pathname);
  cookie = signedIn.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
});
afterAll(async () => {
  await server.dispose();
  await studio.dispose();
  await folder.remove();
});

describe('the headless host', () => {
  test('serves nothing without a session', async () => {
    for (const path of ['/', '/index.html', '/assets/app.js', '/media/x', '/upload?name=a']) {
      expect((await ask(path)).status).toBe(401);
    }
  });

  test('a one-time address works once, and the next one is announced', async () => {
    expect(addresses.length).toBeGreaterThanOrEqual(2);
    expect((await ask(new URL(addresses[0] ?? '').pathname)).status).toBe(403);
  });

  test('a name that was rebound to this machine is refused', async () => {
    const answer = await ask('/', { headers: { cookie, host: 'evil.example' } });
    expect(answer.status).toBe(421);
  });

  test('the page comes with a strict policy and a nonce of its own', async () => {
    const [first, second] = [await ask('/', { headers: { cookie } }), await ask('/', { headers: { cookie } })];
    const policy = String(first.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe-inline');
    expect(first.headers['x-content-type-options']).toBe('nosniff');
    const nonce = /nonce="([^"]+)"/.exec(first.body)?.[1] ?? '';
    expect(policy).toContain(`'nonce-${nonce}'`);
    expect(second.body).not.toBe(first.body);
  });

  test.each(['/../secret.txt', '/%2e%2e/secret.txt', '/assets/..%2f..%2fsecret.txt', '/..%5csecret.txt', '/%00'])(
    '%s does not leave the folder of the page',
    async (path) => {
      const answer = await ask(path, { headers: { cookie } });
      expect(answer.status).toBe(404);
      expect(answer.body).not.toContain('secret\n');
    },
  );

  test('a dropped file is taken in one stream, under a safe name, and becomes a grant', async () => {
    const origin = `http://127.0.0.1:${server.port}`;
    const body = Buffer.from('0123456789');
    const name = encodeURIComponent('../../水獭 model.bin');
    const answer = await ask(`/upload?name=${name}`, {
      method: 'POST',
      headers: { cookie, origin, 'content-length': String(body.length) },
      body,
    });
    expect(answer.status).toBe(200);
    const grant = JSON.parse(answer.body) as { id: string; name: string; sizeBytes: number };
    expect([grant.name, grant.sizeBytes]).toEqual(['水獭 model.bin', 10]);
    expect(await readdir(join(folder.path, 'data/imports'))).toEqual(['水獭 model.bin']);
    const part = await ask(`/media/${grant.id}`, { headers: { cookie, range: 'bytes=2-4' } });
    expect([part.status, part.body, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10']);
  });

  test('an upload from another page is refused', async () => {
    const answer = await ask('/upload?name=a', { method: 'POST', headers: { cookie, origin: 'http://evil.example' } });
    expect(answer.status).toBe(403);
  });

  test('an unknown grant is no file', async () => {
    expect((await ask('/media/nothing', { headers: { cookie } })).status).toBe(404);
  });

  test('the WebSocket opens only for a page of ours with a session', async () => {
    const open = (headers: Record<string, string>): Promise<'open' | 'refused'> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/rpc`, { headers });
        socket.on('open', () => {
          socket.terminate();
          resolve('open');
        });
        socket.on('error', () => resolve('refused'));
      });
    const origin = `http://127.0.0.1:${server.port}`;
    expect(await open({ origin })).toBe('refused');
    expect(await open({ cookie })).toBe('refused');
    expect(await open({ cookie, origin: 'http://evil.example' })).toBe('refused');
    expect(await open({ cookie, origin })).toBe('open');
  });

  test('the contract is answered over it', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/rpc`, {
      headers: { cookie, origin: `http://127.0.0.1:${server.port}` },
    });
    await once(socket, 'open');
    const { client, close } = connect(contract, webSocketTransport(socket as unknown as WebSocketLike));
    expect((await client.app.info({})).host).toBe('headless');
    const made = await client.chat.create({ title: 'A chat' });
    expect((await client.chat.list({})).map(({ id }) => id)).toContain(made.id);
    close();
  });

  test('a taken port is said', async () => {
    const again = HttpHost.listen({
      studio,
      pageFolder: '',
      port: server.port,
      pageUrl: null,
      onAddress: () => undefined,
    });
    await expect(again).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(String(server.port)),
    });
  });
});
