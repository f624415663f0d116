import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { headerOf, newToken, type RawHeader, statusOf } from '../support/raw/message-text.ts';
import type { RawAddress, RawTransport } from '../support/raw/raw-end.ts';
import { type RawDialog, RawPhone } from '../support/raw/raw-phone.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

const PROCESSES = 3;
/** Enough for every process to get some: each goes by its Call-ID. */
const CALLS = 9;

let sites: CallSites;
let server: RawAddress;
let callControl: CallControlProcess;
const phones: RawPhone[] = [];

beforeAll(async () => {
  sites = await CallSites.start(
    [1001, 1002, 1003].map((number, index) => ({ terminalId: index + 1, number: String(number) })),
  );
  server = { host: '127.0.0.1', port: await freePort() };
});
afterAll(() => sites.stop());

beforeEach(async () => {
  const listen = `127.0.0.1:${server.port}`;
  callControl = await CallControlProcess.start(sites, 'a', {
    sip: { udp: listen, tcp: listen, ws: null, processes: PROCESSES },
  });
  await callControl.untilReady();
});
afterEach(async () => {
  for (const phone of phones.splice(0)) phone.stop();
  await callControl.stop();
});

async function registered(username: string, transport: RawTransport = 'udp'): Promise<RawPhone> {
  const phone = await RawPhone.registered({ username, server, transport });
  phones.push(phone);
  return phone;
}

/** The forked processes, by process id. */
const workers = (): number[] =>
  readFileSync(`/proc/${callControl.pid}/task/${callControl.pid}/children`, 'latin1')
    .trim()
    .split(' ')
    .map(Number);

/** Hangs up and resolves with the status of the BYE's answer. */
async function hangUp(phone: RawPhone, dialog: RawDialog): Promise<number> {
  const { cseq } = dialog;
  phone.inDialog('BYE', dialog);
  return statusOf(await phone.end.final(dialog.callId, cseq + 1, 3_000));
}

test.each<[RawTransport, RawTransport]>([
  ['udp', 'udp'],
  ['udp', 'tcp'],
  ['tcp', 'udp'],
  ['tcp', 'tcp'],
])(
  'calls over %s to a phone over %s are set up and ended from both sides, whichever process reads what',
  async (from, to) => {
    const caller = await registered('1001', from);
    const callee = await registered('1002', to);
    for (let call = 0; call < CALLS; call++) {
      const dialog = await caller.call('1002');
      await callee.got('ACK', dialog.callId);
      const ended = call % 2 === 0 ? hangUp(caller, dialog) : hangUp(callee, callee.calledIn());
      expect([call, await ended]).toEqual([call, 200]);
    }
  },
);

test('every process takes its share of the calls, and *52 knows what was dialed at another', async () => {
  const caller = await registered('1001');
  const callee = await registered('1002');
  for (let call = 0; call < CALLS; call++) await hangUp(caller, await caller.call('1002'));
  const took = async (index: number): Promise<number> =>
    callControl.metric('lastcall_sip_messages', { process: `${index}`, direction: 'in' });
  for (let index = 0; index < PROCESSES; index++) expect(await took(index)).toBeGreaterThan(0);
  const redialed = await waitFor(
    async () => {
      const dialog = await caller.call('*52');
      return callee.find('INVITE', dialog.callId);
    },
    { what: 'the redialed call' },
  );
  expect(headerOf(redialed, 'To')).toContain('*52');
});

test('kill -9 of one process under calls: the calls that stand go on, no other call fails, and it is started anew', async () => {
  const caller = await registered('1001');
  const callee = await registered('1002');
  const standing: RawDialog[] = [];
  for (let call = 0; call < CALLS; call++) standing.push(await caller.call('1002'));
  const [victim = 0] = workers();
  process.kill(victim, 'SIGKILL');
  for (let call = 0; call < CALLS; call++) {
    const dialog = await caller.call('1002', { deadlineMs: 10_000 });
    expect(await hangUp(caller, dialog)).toBe(200);
  }
  for (const dialog of standing) expect(await hangUp(caller, dialog)).toBe(200);
  await waitFor(async () => (await callControl.readiness()).checks['processes']?.state === 'up', {
    what: 'the process that is started anew',
    deadlineMs: 60_000,
  });
  expect(workers()).not.toContain(victim);
  for (let call = 0; call < CALLS; call++) {
    const dialog = await caller.call('1002');
    await callee.got('BYE', (await hangUp(caller, dialog)) === 200 ? dialog.callId : '');
  }
});

test('G7 wrong passwords count together, whichever process hears them', async () => {
  const guesser = await RawPhone.start({ username: '1003', server, password: 'wrong' });
  phones.push(guesser);
  const statuses: number[] = [];
  for (let guess = 0; guess < 2 * CALLS; guess++) {
    const answer = await guesser.request('REGISTER', `sip:${DOMAIN}`, { to: `<${guesser.aor}>` });
    statuses.push(statusOf(answer));
    if (statusOf(answer) === 503) break;
  }
  // The eighth failure is held back; what one process learns may reach another a moment later.
  expect(statuses.length).toBeGreaterThanOrEqual(9);
  expect(statuses.length).toBeLessThanOrEqual(12);
  expect(statuses.at(-1)).toBe(503);
});

test('credentials that were used once are good at no other process', async () => {
  const phone = await registered('1001');
  await registered('1002');
  const uri = `sip:1002@${DOMAIN}`;
  const sent = (callId: string, headers: readonly RawHeader[]): void =>
    phone.end.send(phone.written('INVITE', uri, headers, callId));
  sent('used', []);
  const challenge = await phone.end.final('used');
  const proof = phone.credentials(challenge, 'INVITE', uri);
  sent('used', [proof]);
  await waitFor(() => phone.end.answersTo('used').some((text) => statusOf(text) === 200), {
    what: 'the call with the credentials',
  });
  for (let replay = 0; replay < 2 * CALLS; replay++) {
    const callId = newToken();
    sent(callId, [proof]);
    expect(statusOf(await phone.end.final(callId))).toBe(407);
  }
});
