import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { methodOf, newBranch, newToken, rawRequest, statusOf } from '../support/raw/message-text.ts';
import type { RawAddress } from '../support/raw/raw-end.ts';
import { RawPhone } from '../support/raw/raw-phone.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { DOMAIN } from '../support/site-terminals.ts';

/** Behind one address: twelve honest phones, and a subscriber whose password is guessed from there. */
const HONEST = Array.from({ length: 12 }, (_, index) => String(1001 + index));
const GUESSED = '1020';
const GUESSER = '1021';
const NAT = '127.0.0.10';
const HOME = '127.0.0.20';

let sites: CallSites;
let callControl: CallControlProcess;
let server: RawAddress;
const opened: RawPhone[] = [];

beforeAll(async () => {
  const numbers = [...HONEST, GUESSED, GUESSER, '1022', '1023', '1024'];
  sites = await CallSites.start(numbers.map((number) => ({ terminalId: Number(number) - 1000, number })));
  server = { host: '127.0.0.1', port: await freePort() };
  const listen = `127.0.0.1:${server.port}`;
  callControl = await CallControlProcess.start(sites, 'a', {
    peers: { b: {} },
    sip: { udp: listen, tcp: listen, ws: null },
  });
  await callControl.untilReady();
});
afterEach(() => {
  for (const phone of opened.splice(0)) phone.stop();
});
afterAll(async () => {
  await callControl.stop();
  await sites.stop();
});

async function phone(username: string, host: string, password?: string): Promise<RawPhone> {
  const started = await RawPhone.start({
    username,
    server,
    host,
    ...(password !== undefined && { password }),
  });
  opened.push(started);
  return started;
}

/** One log-in from that address; resolves with the status that it ends with. */
async function login(username: string, host: string, password?: string): Promise<number> {
  const one = await phone(username, host, password);
  return statusOf(await one.register());
}

const wrong = (): string => `guess-${Math.random()}`;

test('G7 twelve of twelve honest phones register and call while somebody behind their address guesses', async () => {
  const stop = new AbortController();
  let guesses = 0;
  const guessing = (async () => {
    const names = [GUESSED, 'admin', '100', 'nobody'];
    while (!stop.signal.aborted) {
      const name = names[guesses % names.length] ?? GUESSED;
      void login(name, NAT, wrong()).catch(() => 0);
      guesses += 1;
      await delay(100);
    }
  })();
  await delay(3_000);
  const phones = await Promise.all(HONEST.map((username) => phone(username, NAT)));
  const registered = await Promise.all(phones.map(async (each) => statusOf(await each.register())));
  expect(registered).toEqual(HONEST.map(() => 200));
  const calls = await Promise.all(
    phones.map(async (each, index) => {
      const callee = phones[(index + 1) % phones.length]?.username ?? '';
      return statusOf(await each.invite(`sip:${callee}@${DOMAIN}`));
    }),
  );
  expect(calls).toEqual(HONEST.map(() => 200));
  stop.abort();
  await guessing;
  expect(guesses).toBeGreaterThan(20);
  expect(phones.every((each) => each.requests.some((text) => methodOf(text) === 'INVITE'))).toBe(true);
});

test('G7 a success between the guesses does not clear them: after forty the right password is not taken either', async () => {
  const own = await phone(GUESSER, NAT);
  let taken = 0;
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) {
    if (statusOf(await own.register()) === 200) taken += 1;
    statuses.push(await login('1022', NAT, wrong()));
  }
  // Its own name goes on: nobody is slowed but the name that is guessed.
  expect(taken).toBe(40);
  expect(statuses).not.toContain(200);
  expect(await login('1022', NAT)).not.toBe(200);
});

test('G7 a guess from many sources is slowed; the honest phone where it has been before still gets in', async () => {
  expect(await login('1023', HOME)).toBe(200);
  for (let i = 0; i < 120; i++) await login('1023', `127.1.${i % 60}.1`, wrong());
  expect(await login('1023', '127.1.200.1')).not.toBe(200);
  expect(await login('1023', HOME)).toBe(200);
  const caller = await phone('1023', HOME);
  const callee = await phone('1024', '127.0.0.30');
  expect(statusOf(await callee.register())).toBe(200);
  expect(statusOf(await caller.invite('1024'))).toBe(200);
});

test('G7 answers to a nonce that is not ours count as nothing: nobody locks a name out without a challenge', async () => {
  const stale = await phone('1024', '127.0.0.40');
  const forged = `SIP/2.0 401 x\r\nWWW-Authenticate: Digest realm="${DOMAIN}", nonce="made-up", qop="auth"\r\n\r\n`;
  for (let i = 0; i < 40; i++) {
    const callId = newToken();
    stale.end.send(
      rawRequest({
        method: 'REGISTER',
        uri: `sip:${DOMAIN}`,
        via: stale.end.via(newBranch()),
        from: `<${stale.aor}>;tag=${newToken()}`,
        to: `<${stale.aor}>`,
        callId,
        cseq: 1,
        headers: [stale.credentials(forged, 'REGISTER', `sip:${DOMAIN}`)],
      }),
    );
    expect(statusOf(await stale.end.final(callId))).toBe(401);
  }
  expect(await login('1024', '127.0.0.40')).toBe(200);
});
