import { beforeEach, describe, expect, it } from 'vitest';
import { DigestAuthenticator } from '../../../shared/sip/digest/authenticator.ts';
import { Backoff } from '../../../shared/sip/digest/backoff.ts';
import { digestCredentials, ha1Of } from '../../../shared/sip/digest/response.ts';
import type { DigestAlgorithm, DigestVerdict, FailedLogin } from '../../../shared/sip/digest/types.ts';
import { parsedRequest } from './messages.ts';

const REALM = 'lastcall.test';
const REGISTRAR = 'sip:lastcall.test';
const HOME = '192.0.2.1';
const NAMES = ['1001', '1002', '1003'];
let nowMs: number;
let failures: FailedLogin[];
let digest: DigestAuthenticator;

beforeEach(() => {
  nowMs = 1_800_000_000_000;
  failures = [];
  digest = new DigestAuthenticator({
    realm: REALM,
    isOwn: (uri) => uri.host === '192.0.2.9',
    now: () => nowMs,
    onFailure: (failure) => failures.push(failure),
  });
});

const findHa1 = (username: string, algorithm: DigestAlgorithm): string | undefined =>
  NAMES.includes(username) ? ha1Of(algorithm, username, REALM, 'secret') : undefined;

interface Login {
  readonly name?: string;
  readonly password?: string;
  readonly source?: string;
  /** Where the challenge was sent to. */
  readonly challengedAt?: string;
  readonly uri?: string;
  readonly requestUri?: string;
}

async function login(attempt: Login = {}): Promise<DigestVerdict> {
  const { name = '1001', password = 'secret', source = HOME, uri = REGISTRAR } = attempt;
  const [, challenge = ''] = digest.challenge('www', attempt.challengedAt ?? source).headers?.[0] ?? [];
  const made = digestCredentials({ challenge, username: name, password, method: 'REGISTER', uri });
  const extra = [`Authorization: ${made}`];
  const request = parsedRequest({ method: 'REGISTER', uri: attempt.requestUri ?? REGISTRAR, extra });
  return digest.verify(request, { kind: 'www', source, findHa1 });
}

const guess = (times: number, attempt: Login = {}): Promise<DigestVerdict[]> =>
  Promise.all(Array.from({ length: times }, () => login({ password: 'guess', ...attempt })));

const kinds = (verdicts: readonly DigestVerdict[]): readonly string[] => [
  ...new Set(verdicts.map(({ kind }) => kind)),
];

describe('G7 guessing', () => {
  it('is held back for the name at that source after 8 failures', async () => {
    expect(kinds(await guess(8))).toEqual(['challenge']);
    expect(await login()).toMatchObject({
      kind: 'backoff',
      answer: { status: 503, headers: [['Retry-After', '1']] },
    });
    nowMs += 1_001;
    expect((await login()).kind).toBe('ok');
  });

  it('locks no neighbour at the same address out', async () => {
    await guess(500, { name: '1001' });
    await guess(500, { name: 'nobody' });
    expect(kinds(await Promise.all([login({ name: '1002' }), login({ name: '1003' })]))).toEqual(['ok']);
  });

  it('is not cleared by a success of another name, nor of another source', async () => {
    for (let i = 0; i < 140; i++) {
      await login({ password: `guess ${i}` });
      expect((await login({ name: '1002' })).kind).toBe('ok');
    }
    expect(failures).toHaveLength(8);
    expect((await login({ source: '192.0.2.7' })).kind).toBe('ok');
    expect((await login()).kind).toBe('backoff');
  });

  it('from many sources is slowed for the name, but not for its phone where it logged in before', async () => {
    expect((await login()).kind).toBe('ok');
    for (let i = 0; i < 500; i++) await guess(1, { source: `203.0.113.${i}` });
    expect(failures.length).toBeLessThan(60);
    expect((await login({ source: '198.51.100.1' })).kind).toBe('backoff');
    expect((await login()).kind).toBe('ok');
  });

  it('over many sources for a day is worth less than 2,000 guesses', async () => {
    const end = nowMs + 86_400_000;
    for (let i = 0; nowMs < end; i++) {
      await guess(1, { source: `203.0.113.${i}` });
      nowMs += 10_000;
    }
    expect(failures.length).toBeLessThan(2_000);
  });

  it('all at once gets no further than one after the other', async () => {
    await guess(500);
    expect(failures).toHaveLength(8);
  });

  it('counts only with a nonce sent to that source: nobody fails in the name of another address', async () => {
    const spoofed = await guess(50, { challengedAt: '203.0.113.66' });
    expect(spoofed.every((each) => each.kind === 'challenge' && each.reason === 'stale-nonce')).toBe(true);
    expect(failures).toEqual([]);
    expect((await login()).kind).toBe('ok');
  });

  it('of names that nobody has cannot push a real one out of memory', async () => {
    await guess(8);
    for (let i = 0; i < 11_000; i++) await guess(1, { name: `nobody${i}` });
    expect((await login()).kind).toBe('backoff');
  });

  it('is told to the owner with name, source, count and hold', async () => {
    await guess(8, { source: '192.0.2.7' });
    await guess(1, { name: 'nobody' });
    expect(failures[0]).toEqual({
      name: '1001',
      source: '192.0.2.7',
      reason: 'wrong-response',
      failures: 1,
      heldUntilMs: null,
    });
    expect(failures[7]).toMatchObject({ failures: 8, heldUntilMs: nowMs + 1_000 });
    expect(failures[8]).toMatchObject({ name: 'nobody', reason: 'unknown-user', failures: 1 });
  });
});

describe('bans', () => {
  it('are listed while they last and lifted by name or by source', async () => {
    await guess(8);
    await guess(9, { name: '1002', source: '192.0.2.7' });
    expect(digest.bans()).toEqual([
      { name: '1001', source: HOME, failures: 8, heldUntilMs: nowMs + 1_000 },
      { name: '1002', source: '192.0.2.7', failures: 8, heldUntilMs: nowMs + 1_000 },
    ]);
    expect(digest.lift('192.0.2.7')).toBe(1);
    expect((await login({ name: '1002', source: '192.0.2.7' })).kind).toBe('ok');
    expect(digest.lift('1001')).toBe(2);
    expect([digest.bans(), (await login()).kind]).toEqual([[], 'ok']);
    expect(digest.lift('1001')).toBe(0);
  });

  it('over all sources have no source', async () => {
    for (let i = 0; i < 40; i++) await guess(1, { source: `203.0.113.${i}` });
    expect(digest.bans()).toEqual([{ name: '1001', source: null, failures: 40, heldUntilMs: nowMs + 1_000 }]);
    nowMs += 1_000;
    expect(digest.bans()).toEqual([]);
  });
});

describe('RFC 7616 3.4.6 the uri of credentials', () => {
  it.each([
    ['sip:lastcall.test', 'sip:LASTCALL.test'],
    ['sip:lastcall.test', 'sip:lastcall.test:5060'],
    ['sip:lastcall.test;transport=tcp', 'sip:lastcall.test'],
    ['sip:*69@lastcall.test', 'sip:%2A69@lastcall.test;user=phone'],
    ['tel:+1-201', 'tel:+1201'],
    ['sip:1002@lastcall.test', 'sip:192.0.2.9:5060'],
  ])('fits the Request-URI %s as %s', async (requestUri, uri) => {
    expect((await login({ requestUri, uri })).kind).toBe('ok');
  });

  it.each([
    ['sip:0900@lastcall.test', 'sip:1002@lastcall.test'],
    ['sip:lastcall.test', 'sip:elsewhere.test'],
    ['sip:lastcall.test:5070', 'sip:lastcall.test'],
    ['sips:1002@lastcall.test', 'sip:1002@lastcall.test'],
    ['sip:lastcall.test', 'x'],
    ['sip:1002@lastcall.test', 'sip:1003@192.0.2.9'],
    ['tel:+1201', 'sip:+1201@lastcall.test'],
  ])('does not fit %s as %s, and is answered 400', async (requestUri, uri) => {
    expect(await login({ requestUri, uri })).toMatchObject({ kind: 'mismatch', answer: { status: 400 } });
    expect(failures).toEqual([]);
  });
});

describe('backoff', () => {
  const waits = (backoff: Backoff, times: number): readonly number[] =>
    Array.from({ length: times }, () => {
      backoff.failed('s', 0);
      return backoff.remainingMs('s', 0);
    });

  it('doubles with each failure up to 60 s', () => {
    const backoff = new Backoff({ failures: 1, firstMs: 1_000 });
    expect(waits(backoff, 9)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('grows slower when told so', () => {
    const backoff = new Backoff({ failures: 2, firstMs: 1_000, failuresToDouble: 2 });
    expect(waits(backoff, 6)).toEqual([0, 1_000, 1_414, 2_000, 2_828, 4_000]);
  });

  it('forgets after half an hour without a failure, and the oldest when it is full', () => {
    const backoff = new Backoff({ failures: 2, firstMs: 1_000, capacity: 2 });
    backoff.failed('a', 0);
    expect(backoff.failed('a', 1_800_001)).toEqual({ count: 1, untilMs: 0, lastMs: 1_800_001 });
    backoff.failed('b', 1_800_002);
    backoff.failed('c', 1_800_003);
    expect([...backoff.entries()].map(([key]) => key)).toEqual(['b', 'c']);
  });
});

it('G4 a challenge to an ordinary REGISTER or INVITE is at most twice as large', () => {
  const challenges = digest.challenge('www', HOME).headers ?? [];
  const bytes = challenges.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  expect(bytes).toBeLessThan(270);
});
