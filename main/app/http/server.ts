/**
 * The headless host: the built page, the contract over a WebSocket, uploads and granted media, on the
 * loopback address only. Nothing is served without a session; see session.ts.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { LutraError, toErrorData } from '../../../contract/errors.ts';
import { webSocketTransport } from '../../../contract/rpc/websocket.ts';
import type { Studio } from '../../studio.ts';
import { sendFile, sendJson, sendPageFile, sendText } from './send.ts';
import { Sessions, isLoopbackHost, isSameOrigin } from './session.ts';

/** Bytes of one WebSocket message: chat imports travel in one piece. */
const maximumMessageBytes = 256 * 1024 * 1024;

export interface HttpHostOptions {
  readonly studio: Studio;
  /** The folder of the built page. */
  readonly pageFolder: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** A development server to take the page from instead. */
  readonly pageUrl: string | null;
  /** Called with a fresh one-time address: at the start, and whenever the last one was used. */
  readonly onAddress: (address: string) => void;
}

export class HttpHost {
  readonly #options: HttpHostOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: maximumMessageBytes });
  #sessions: Sessions | null = null;

  private constructor(options: HttpHostOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((thrown: unknown) => fail(response, thrown));
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket as Socket, head),
    );
  }

  /** Fails with `conflict` when the port is taken. */
  static async listen(options: HttpHostOptions): Promise<HttpHost> {
    const host = new HttpHost(options);
    host.#server.listen(options.port, '127.0.0.1');
    try {
      await once(host.#server, 'listening');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw thrown;
      throw new LutraError({
        code: 'conflict',
        message: `Port ${options.port} is in use by another program.`,
        hint: 'Choose another with --port, or leave it out to get a free one.',
        subject: 'port',
      });
    }
    host.#sessions = new Sessions(host.port);
    host.#announce();
    return host;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async dispose(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #announce(): void {
    this.#options.onAddress(`http://127.0.0.1:${this.port}/open/${this.#session.issueToken()}`);
  }

  get #session(): Sessions {
    if (this.#sessions === null) throw new Error('The host does not listen yet.');
    return this.#sessions;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isLoopbackHost(request.headers.host)) return sendText(response, 421, 'This host answers to 127.0.0.1 only.');
    const url = new URL(request.url ?? '/', 'http://host');
    if (url.pathname.startsWith('/open/')) return this.#signIn(url.pathname.slice('/open/'.length), request, response);
    if (!this.#session.isSignedIn(request.headers)) {
      return sendText(response, 401, 'Please open the address that Lutra printed when it started. It works once.');
    }
    if (url.pathname === '/upload') return this.#upload(url, request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendText(response, 405, 'Only GET is answered.');
    if (url.pathname.startsWith('/media/')) {
      const { path } = this.#options.studio.files.resolve(url.pathname.slice('/media/'.length));
      return sendFile(path, request, response, { 'cache-control': 'no-store' });
    }
    if (this.#options.pageUrl !== null) return forwardTo(this.#options.pageUrl, request, response);
    return sendPageFile(this.#options.pageFolder, request, response);
  }

  #signIn(token: string, request: IncomingMessage, response: ServerResponse): void {
    // Someone who reloads the used address is let in by the cookie that it bought.
    if (this.#session.isSignedIn(request.headers)) {
      response.writeHead(303, { location: '/' });
      response.end();
      return;
    }
    const cookie = this.#session.redeem(token);
    if (cookie === null) {
      return sendText(response, 403, 'This address was used already. Take the newest one that Lutra printed.');
    }
    response.writeHead(303, { location: '/', 'set-cookie': cookie, 'referrer-policy': 'no-referrer' });
    response.end();
    this.#announce();
  }

  async #upload(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return sendText(response, 405, 'Uploads are sent with POST.');
    if (!isSameOrigin(request.headers)) return sendText(response, 403, 'Uploads are taken from the studio only.');
    const declared = request.headers['content-length'];
    const expectedBytes = declared === undefined ? null : Number(declared);
    const abort = new AbortController();
    request.on('aborted', () => abort.abort());
    const name = url.searchParams.get('name') ?? '';
    sendJson(response, 200, await this.#options.studio.files.receiveUpload(name, request, expectedBytes, abort.signal));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { headers } = request;
    const allowed = isLoopbackHost(headers.host) && isSameOrigin(headers) && this.#session.isSignedIn(headers);
    if (request.url !== '/rpc' || !allowed) {
      socket.end(`HTTP/1.1 ${request.url === '/rpc' ? '403 Forbidden' : '404 Not Found'}\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const transport = webSocketTransport(webSocket);
      this.#options.studio.serve(transport, randomUUID());
    });
  }
}

function forwardTo(pageUrl: string, request: IncomingMessage, response: ServerResponse): void {
  const target = new URL(request.url ?? '/', pageUrl);
  const outgoing = forward(target, { method: request.method, headers: { ...request.headers, host: target.host } });
  outgoing.on('response', (incoming) => {
    response.writeHead(incoming.statusCode ?? 502, incoming.headers);
    incoming.pipe(response);
  });
  outgoing.on('error', (error) => fail(response, error));
  request.pipe(outgoing);
}

const statusOf: Readonly<Partial<Record<string, number>>> = {
  'bad-input': 400,
  'not-found': 404,
  'file-access': 404,
  'disk-full': 507,
  conflict: 409,
};

function fail(response: ServerResponse, thrown: unknown): void {
  const error = toErrorData(thrown);
  if (response.headersSent) response.destroy();
  else sendJson(response, statusOf[error.code] ?? 500, error);
}
