/** Who may speak to the headless host: a one-time token in the printed address buys a cookie. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const loopbackNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * True when `Host` is a loopback name. A page that rebinds its own name to 127.0.0.1 still sends its
 * own name. Any port is fine: a tunnel may forward from another one.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  const match = /^(?<name>\[[0-9a-f:]+\]|[^:]+)(?::\d{1,5})?$/i.exec(host ?? '');
  return loopbackNames.has(match?.groups?.['name']?.toLowerCase() ?? '');
}

/** True when the request comes from a page that this host served. */
export function isSameOrigin(headers: IncomingHttpHeaders): boolean {
  return headers.origin !== undefined && headers.origin === `http://${headers.host}`;
}

export class Sessions {
  readonly #cookieName: string;
  readonly #tokens = new Set<string>();
  readonly #sessions = new Set<string>();

  /** Cookies are shared between ports of one host name, so the port is part of the cookie's name. */
  constructor(port: number) {
    this.#cookieName = `lutra_${port}`;
  }

  /** A token that works once. */
  issueToken(): string {
    const token = randomBytes(24).toString('base64url');
    this.#tokens.add(token);
    return token;
  }

  /** The `Set-Cookie` value for a valid token, which is used up; null for any other. */
  redeem(token: string): string | null {
    const known = [...this.#tokens].find((candidate) => equalSecrets(candidate, token));
    if (known === undefined) return null;
    this.#tokens.delete(known);
    const session = randomBytes(24).toString('base64url');
    this.#sessions.add(session);
    return `${this.#cookieName}=${session}; HttpOnly; SameSite=Strict; Path=/`;
  }

  isSignedIn(headers: IncomingHttpHeaders): boolean {
    const prefix = `${this.#cookieName}=`;
    return (headers.cookie ?? '')
      .split(/;\s*/)
      .filter((part) => part.startsWith(prefix))
      .some((part) => [...this.#sessions].some((session) => equalSecrets(session, part.slice(prefix.length))));
  }
}

function equalSecrets(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
