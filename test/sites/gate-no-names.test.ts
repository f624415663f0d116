import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { Destinations } from '../support/raw/destinations.ts';
import {
  headerOf,
  newBranch,
  newToken,
  type RawHeader,
  rawRequest,
  statusOf,
} from '../support/raw/message-text.ts';
import type { RawAddress } from '../support/raw/raw-end.ts';
import { RawPhone } from '../support/raw/raw-phone.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

const CALLS_PER_SECOND = 40;
const SECONDS = 15;
const MEMORY_SLACK_BYTES = 60e6;

let sites: CallSites;
let callControl: CallControlProcess;
let destinations: Destinations;
let server: RawAddress;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  server = { host: '127.0.0.1', port: await freePort() };
  const listen = `127.0.0.1:${server.port}`;
  destinations = await Destinations.watch();
  callControl = await CallControlProcess.start(
    sites,
    'a',
    { peers: { b: {} }, sip: { udp: listen, tcp: listen, ws: null } },
    { nodeArguments: destinations.nodeArguments, environment: destinations.environment('silent') },
  );
  await callControl.untilReady();
});
afterAll(async () => {
  await callControl.stop();
  await sites.stop();
});

/** One call that is challenged and declined, its ACKs on branches of their own, as some clients write them. */
async function call(phone: RawPhone): Promise<number> {
  const uri = `sip:1002@${DOMAIN}`;
  const callId = newToken();
  const from = `<${phone.aor}>;tag=${newToken()}`;
  const send = (method: string, cseq: number, to: string, headers: readonly RawHeader[] = []): void =>
    phone.end.send(
      rawRequest({ method, uri, via: phone.end.via(newBranch()), from, to, callId, cseq, headers }),
    );
  const contact: RawHeader = ['Contact', `<${phone.end.uri('1001')}>`];
  send('INVITE', 1, `<${uri}>`, [contact]);
  const challenge = await phone.end.final(callId, 1);
  send('ACK', 1, headerOf(challenge, 'To') ?? '');
  send('INVITE', 2, `<${uri}>`, [contact, phone.credentials(challenge, 'INVITE', uri)]);
  const final = await phone.end.final(callId, 2);
  for (let i = 0; i < 3; i++) send('ACK', 2, headerOf(final, 'To') ?? '');
  return statusOf(final);
}

test('40 authenticated calls a second with ACKs that match nothing, and a name server that is away: no name is looked up, nothing piles up', async () => {
  const alice = await RawPhone.registered({ username: '1001', server });
  const bob = await RawPhone.registered({ username: '1002', server });
  bob.behaviour = { status: 480 };
  const memory = (): Promise<number> => callControl.metric('lastcall_process_resident_memory_bytes');
  const statuses: number[] = [];
  const failures: unknown[] = [];
  let early = 0;
  for (let second = 0; second < SECONDS; second++) {
    for (let i = 0; i < CALLS_PER_SECOND; i++) {
      call(alice).then(
        (status) => statuses.push(status),
        (error: unknown) => failures.push(error),
      );
      await delay(1_000 / CALLS_PER_SECOND);
    }
    if (second === 5) early = await memory();
  }
  await waitFor(() => statuses.length + failures.length === CALLS_PER_SECOND * SECONDS, {
    what: 'the calls to end',
  });
  expect(failures).toEqual([]);
  expect([...new Set(statuses)]).toEqual([480]);
  expect(destinations.lines.filter((line) => line.startsWith('lookup'))).toEqual([]);
  expect((await memory()) - early).toBeLessThan(MEMORY_SLACK_BYTES);
  alice.stop();
  bob.stop();
});
