import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { headerOf, statusOf } from '../support/raw/message-text.ts';
import type { RawAddress, RawTransport } from '../support/raw/raw-end.ts';
import { RawPhone } from '../support/raw/raw-phone.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { waitFor } from '../support/wait-for.ts';

/** The longest that a caller may wait for a phone that is alive. */
const LONGEST_MS = 3_000;
/** A phone that hears nothing from its server for so long asks the site's other one. */
const SERVER_IS_GONE_MS = 1_000;

let sites: CallSites;
/** Both of site a. */
let first: CallControlProcess;
let second: CallControlProcess;
let other: CallControlProcess;
let firstAt: RawAddress;
let secondAt: RawAddress;
let otherAt: RawAddress;
const phones: RawPhone[] = [];

const portOf = (uri: string): number => Number(uri.split(':').at(-1));

beforeAll(async () => {
  sites = await CallSites.start(
    [1001, 1002, 1003, 1004, 1005].map((number, index) => ({
      terminalId: index + 1,
      number: String(number),
    })),
  );
});
afterAll(() => sites.stop());

beforeEach(async () => {
  firstAt = { host: '127.0.0.1', port: await freePort() };
  secondAt = { host: '127.0.0.1', port: portOf(sites.udp('a')) };
  otherAt = { host: '127.0.0.1', port: portOf(sites.udp('b')) };
  const listen = `127.0.0.1:${firstAt.port}`;
  first = await CallControlProcess.start(sites, 'a', { sip: { udp: listen, tcp: listen, ws: null } });
  second = await CallControlProcess.start(sites, 'a');
  other = await CallControlProcess.start(sites, 'b');
  await Promise.all([first, second, other].map((each) => each.untilReady()));
  for (const server of [secondAt, otherAt])
    for (const username of ['1002', '1004']) {
      const phone = await RawPhone.start({ username, server });
      await phone.register('*');
      phone.stop();
    }
});
afterEach(async () => {
  for (const phone of phones.splice(0)) phone.stop();
  await Promise.all([first, second, other].map((each) => each.stop()));
});

async function registered(
  username: string,
  server: RawAddress,
  transport: RawTransport = 'udp',
): Promise<RawPhone> {
  const phone = await RawPhone.registered({ username, server, transport });
  phones.push(phone);
  return phone;
}

/** Until a request has had no answer for long: a challenge may be the last word of a server that ends. */
async function silence({ end }: RawPhone, ended: AbortSignal): Promise<void> {
  let [heard, sinceMs] = [0, performance.now()];
  while (!ended.aborted && performance.now() - sinceMs < SERVER_IS_GONE_MS) {
    await delay(10);
    if (end.heard.some(({ text }) => statusOf(text) !== 407)) return new Promise(() => {});
    if (end.heard.length > heard) [heard, sinceMs] = [end.heard.length, performance.now()];
  }
}

/** Milliseconds from the INVITE to the answer, over the first server that says anything; throws without an answer. */
async function waited(username: string, dialed: string, servers: readonly RawAddress[]): Promise<number> {
  const started = performance.now();
  for (const server of servers) {
    const phone = await RawPhone.start({ username, server });
    try {
      const call = new AbortController();
      const answer = await Promise.race([
        phone.invite(dialed, { deadlineMs: LONGEST_MS + 2_000 }).catch((error: Error) => {
          const heard = phone.end.heard.map(({ text }) => text.slice(0, text.indexOf('\r\n')));
          throw new Error(`${error.message}: ${username} at ${server.port} heard ${heard}`);
        }),
        silence(phone, call.signal).then(() => 'gone'),
      ]).finally(() => call.abort());
      const status = answer === 'gone' ? 0 : statusOf(answer);
      if (status === 200) return performance.now() - started;
      if (status !== 0 && status !== 503)
        throw new Error(`${dialed}: ${answer.slice(0, 30)} after ${performance.now() - started} ms`);
    } finally {
      phone.stop();
    }
  }
  throw new Error(`no server took the call to ${dialed}`);
}

/** Calls without a pause until it is told to stop. What they wait until `fault` is this machine's usual. */
function callsWithoutEnd(username: string, dialed: string, servers: readonly RawAddress[]) {
  const stop = new AbortController();
  const waits: number[] = [];
  const faults: string[] = [];
  let usualMs = 0;
  const running = (async () => {
    while (!stop.signal.aborted) {
      await waited(username, dialed, servers).then(
        (ms) => waits.push(ms),
        (error: Error) => faults.push(error.message),
      );
      await delay(50);
    }
  })();
  return {
    async fault() {
      await waitFor(() => waits.length > 2, { what: `${username} to have called` });
      usualMs = Math.max(...waits);
    },
    async end() {
      stop.abort();
      await running;
      expect(faults).toEqual([]);
      expect(Math.max(...waits)).toBeLessThan(LONGEST_MS + usualMs);
    },
  };
}

test.each([
  ['SIGKILL', 'tcp'],
  ['SIGTERM', 'udp'],
] as const)(
  '%s of one of two call-controls under calls, a stale phone over %s there: no caller waits 3 s for a phone that is alive',
  async (signal, transport) => {
    // Two phones of 1002: one at the process that dies, one at the other site. 1004 is at the process that lives.
    const stale = await registered('1002', firstAt, transport);
    stale.behaviour = 'silence';
    await registered('1002', otherAt);
    await registered('1004', secondAt);
    const loads = [
      callsWithoutEnd('1001', '1002', [secondAt]),
      callsWithoutEnd('1003', '1004', [secondAt]),
      // Of a process that drains; one that was killed says nothing to the phones in mid-call.
      ...(signal === 'SIGTERM' ? [callsWithoutEnd('1005', '1004', [firstAt, secondAt])] : []),
    ];
    await Promise.all(loads.map((load) => load.fault()));
    if (signal === 'SIGKILL') await first.kill();
    else await first.stop();
    stale.stop();
    await delay(5_000);
    for (const load of loads) await load.end();
  },
);

test('a phone whose server was killed is called at once where it registers anew', async () => {
  const callee = await registered('1002', firstAt);
  await waited('1001', '1002', [secondAt]);
  await first.kill();
  callee.stop();
  const again = await registered('1002', secondAt);
  expect(await waited('1001', '1002', [secondAt])).toBeLessThan(LONGEST_MS);
  expect(headerOf(again.requests[0] ?? '', 'To')).toContain('1002');
});
