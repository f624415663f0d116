import { beforeEach, describe, expect, it } from 'vitest';
import { DigestAuthenticator } from '../../../shared/sip/digest/authenticator.ts';
import { ReplayGuard } from '../../../shared/sip/digest/replay.ts';
import { digestCredentials, digestResponse, ha1Of } from '../../../shared/sip/digest/response.ts';
import type { DigestAlgorithm, DigestOptions, DigestVerdict } from '../../../shared/sip/digest/types.ts';
import { parsedRequest } from './messages.ts';

const REALM = 'lastcall.test';
const REGISTRAR = 'sip:lastcall.test';
let nowMs: number;
let digest: DigestAuthenticator;

beforeEach(() => {
  nowMs = 1_800_000_000_000;
  digest = authenticator();
});

const authenticator = (more: Partial<DigestOptions> = {}): DigestAuthenticator =>
  new DigestAuthenticator({ realm: REALM, now: () => nowMs, ...more });

const findHa1 = (username: string, algorithm: DigestAlgorithm): string | undefined =>
  username === '1001' ? ha1Of(algorithm, username, REALM, 'secret') : undefined;

function verify(
  authorization: string | undefined,
  by = digest,
  source = '192.0.2.1',
): Promise<DigestVerdict> {
  const extra = authorization === undefined ? [] : [`Authorization: ${authorization}`];
  return by.verify(parsedRequest({ method: 'REGISTER', uri: REGISTRAR, extra }), {
    kind: 'www',
    source,
    findHa1,
  });
}

const challenges = (verdict: DigestVerdict): readonly string[] =>
  verdict.kind === 'ok' ? [] : (verdict.answer.headers ?? []).map(([, value]) => value);

interface Attempt {
  readonly username?: string;
  readonly password?: string;
  readonly nonceCount?: number;
}

function credentials(
  challenge: string,
  { username = '1001', password = 'secret', nonceCount = 1 }: Attempt = {},
): string {
  const made = digestCredentials({
    challenge,
    username,
    password,
    method: 'REGISTER',
    uri: REGISTRAR,
    nonceCount,
  });
  if (made === undefined) throw new Error('no credentials for this challenge');
  return made;
}

async function challenge(index = 0, by = digest): Promise<string> {
  return challenges(await verify(undefined, by))[index] ?? '';
}

describe('digest response', () => {
  it('RFC 7616 3.9.1: the example of the standard, MD5 and SHA-256', () => {
    const input = {
      method: 'GET',
      uri: '/dir/index.html',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      auth: { nc: '00000001', cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ' },
    };
    const ha1 = (algorithm: DigestAlgorithm): string =>
      ha1Of(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(digestResponse({ ...input, algorithm: 'MD5', ha1: ha1('MD5') })).toBe(
      '8ca523f5e9506fed4657c9700eebdbec',
    );
    expect(digestResponse({ ...input, algorithm: 'SHA-256', ha1: ha1('SHA-256') })).toBe(
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    );
  });
});

describe('verifying', () => {
  it('RFC 8760 2.4: offers SHA-256 before MD5, or MD5 only when told so', async () => {
    const offers = challenges(await verify(undefined));
    expect(offers.map((each) => /algorithm=([\w-]+)/.exec(each)?.[1])).toEqual(['SHA-256', 'MD5']);
    const old = challenges(await verify(undefined, authenticator({ algorithms: ['MD5'] })));
    expect(old).toHaveLength(1);
    expect(old[0]).toContain('algorithm=MD5');
  });

  it.each([0, 1])('accepts the right password for challenge %i', async (index) => {
    const verdict = await verify(credentials(await challenge(index)));
    expect(verdict).toEqual({ kind: 'ok', username: '1001', algorithm: index === 0 ? 'SHA-256' : 'MD5' });
  });

  it('RFC 3261 22.3: a proxy asks with 407 and reads Proxy-Authorization', async () => {
    const request = parsedRequest({ extra: [`Authorization: ${credentials(await challenge())}`] });
    const verdict = await digest.verify(request, { kind: 'proxy', source: 's', findHa1 });
    expect(verdict).toMatchObject({ kind: 'challenge', reason: 'no-credentials', answer: { status: 407 } });
    expect(verdict.kind !== 'ok' && verdict.answer.headers?.[0]?.[0]).toBe('Proxy-Authenticate');
  });

  it.each([
    ['a wrong password', { password: 'guess' }, 'wrong-response'],
    ['an unknown user', { username: '9999' }, 'unknown-user'],
  ])('%s is challenged again', async (_name, attempt, reason) => {
    const verdict = await verify(credentials(await challenge(), attempt));
    expect(verdict).toMatchObject({ kind: 'challenge', reason, answer: { status: 401 } });
    expect(challenges(verdict).join()).not.toContain('stale');
  });

  it('credentials for another realm count as none', async () => {
    const other = credentials((await challenge()).replace(REALM, 'elsewhere.test'));
    expect(await verify(other)).toMatchObject({ reason: 'no-credentials' });
  });

  it('an old nonce, or one of another server, is stale', async () => {
    const mine = await challenge();
    const foreign = await challenge(0, authenticator());
    for (const [offer, laterMs] of [
      [mine, 300_001],
      [foreign, 0],
    ] as const) {
      nowMs += laterMs;
      const verdict = await verify(credentials(offer));
      expect(verdict).toMatchObject({ kind: 'challenge', reason: 'stale-nonce' });
      expect(challenges(verdict)[0]).toContain('stale=true');
    }
  });

  it('a nonce count works once, in any order within the window', async () => {
    const offer = await challenge();
    for (const [nonceCount, kind] of [
      [1, 'ok'],
      [3, 'ok'],
      [2, 'ok'],
      [2, 'challenge'],
      [3, 'challenge'],
    ] as const) {
      expect(await verify(credentials(offer, { nonceCount })), `${nonceCount}`).toMatchObject({ kind });
    }
  });

  it('the same credentials twice are a replay', async () => {
    const once = credentials(await challenge());
    expect((await verify(once)).kind).toBe('ok');
    expect(await verify(once)).toMatchObject({ reason: 'replayed' });
  });

  it('RFC 2069 credentials without qop pass once a nonce', async () => {
    const once = credentials((await challenge(1)).replace(', qop="auth"', ''));
    expect(once).not.toContain('cnonce');
    expect((await verify(once)).kind).toBe('ok');
    expect((await verify(once)).kind).toBe('challenge');
  });

  it.each([
    (valid: string) => valid.replace('nc=00000001', 'nc=1'),
    (valid: string) => valid.replace('nc=00000001', 'nc=0000000g'),
    (valid: string) => valid.replace('qop=auth', 'qop=auth-int'),
    (valid: string) => valid.replace('algorithm=SHA-256', 'algorithm=SHA-512-256'),
    (valid: string) => valid.replace('username="1001"', 'username=""'),
    (valid: string) => valid.replace(/, cnonce="\w+"/, ''),
  ])('malformed credentials are challenged, %#', async (spoil) => {
    expect(await verify(spoil(credentials(await challenge())))).toMatchObject({ reason: 'malformed' });
  });

  it('rejects only when the lookup does', async () => {
    const extra = [`Authorization: ${credentials(await challenge())}`];
    const failing = digest.verify(parsedRequest({ method: 'REGISTER', uri: REGISTRAR, extra }), {
      kind: 'www',
      source: '192.0.2.1',
      findHa1: () => Promise.reject(new Error('database')),
    });
    await expect(failing).rejects.toThrow('database');
  });
});

describe('replay memory', () => {
  it('is bounded, and what it forgot is refused rather than accepted again', () => {
    const guard = new ReplayGuard(3, 1_000);
    for (const issuedMs of [1, 2, 3, 4]) expect(guard.accept(`n${issuedMs}`, issuedMs, 1, 10)).toBe(true);
    expect(guard.size).toBe(3);
    expect(guard.accept('n1', 1, 2, 10)).toBe(false);
    expect(guard.accept('n4', 4, 2, 10)).toBe(true);
  });

  it('drops expired nonces first', () => {
    const guard = new ReplayGuard(100, 1_000);
    guard.accept('old', 0, 1, 0);
    guard.accept('new', 2_000, 1, 2_000);
    expect(guard.size).toBe(1);
  });

  it('refuses counts below its window', () => {
    const guard = new ReplayGuard(10, 1_000);
    expect([100, 70, 68, 69, 100, 69].map((count) => guard.accept('n', 1, count, 1))).toEqual([
      true,
      true,
      false,
      true,
      false,
      false,
    ]);
  });
});
