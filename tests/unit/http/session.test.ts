import { describe, expect, test } from 'vitest';
import { Sessions, isLoopbackHost, isSameOrigin } from '../../../main/app/http/session.ts';

describe('who may speak to the headless host', () => {
  test.each(['127.0.0.1:4000', 'localhost', 'LOCALHOST:80', '[::1]:9'])('%s is a loopback name', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  test.each([undefined, '', 'evil.example', '127.0.0.1.evil.example', 'localhost:80:80', '127.0.0.1:99999x', '[::2]'])(
    '%s is not',
    (host) => {
      expect(isLoopbackHost(host)).toBe(false);
    },
  );

  test('another origin, or none, is not ours', () => {
    expect(isSameOrigin({ host: 'localhost:1', origin: 'http://localhost:1' })).toBe(true);
    expect(isSameOrigin({ host: 'localhost:1', origin: 'http://localhost:2' })).toBe(false);
    expect(isSameOrigin({ host: 'localhost:1', origin: 'null' })).toBe(false);
    expect(isSameOrigin({ host: 'localhost:1' })).toBe(false);
  });

  test('a token works once, and buys a cookie that scripts cannot read', () => {
    const sessions = new Sessions(4000);
    const token = sessions.issueToken();
    expect(sessions.redeem('guess')).toBeNull();
    const cookie = sessions.redeem(token);
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    expect(sessions.redeem(token)).toBeNull();
    expect(sessions.isSignedIn({ cookie: `other=1; ${cookie?.split(';')[0]}` })).toBe(true);
    expect(sessions.isSignedIn({ cookie: 'lutra_4000=guess' })).toBe(false);
    expect(sessions.isSignedIn({})).toBe(false);
  });
});
