import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { Baresip } from '../support/baresip.ts';
import { Destinations } from '../support/raw/destinations.ts';
import { RawPhone } from '../support/raw/raw-phone.ts';
import { UdpNat } from '../support/raw/udp-nat.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

/** The server's address as the phone inside knows it, and where the phone's packets come from outside. */
const PUBLIC = '127.0.0.9';
const OUTSIDE = '127.0.0.8';

let sites: CallSites;
let callControl: CallControlProcess;
let destinations: Destinations;
let nat: UdpNat;
let port: number;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  port = await freePort();
  destinations = await Destinations.watch();
  callControl = await CallControlProcess.start(
    sites,
    'a',
    { peers: { b: {} }, sip: { udp: `127.0.0.1:${port}`, tcp: null, ws: null, advertise: PUBLIC } },
    { nodeArguments: destinations.nodeArguments, environment: destinations.environment() },
  );
  await callControl.untilReady();
  nat = await UdpNat.start({ host: PUBLIC, port }, { host: '127.0.0.1', port }, OUTSIDE);
});
afterAll(async () => {
  nat.stop();
  await callControl.stop();
  await sites.stop();
});

test('G2 a baresip behind a NAT is called, answers, hears the ACK, and either side hangs up; its own address is never written to', async () => {
  const bob = await Baresip.registered({
    username: '1002',
    password: passwordOf('1002'),
    domain: DOMAIN,
    outbound: `sip:${PUBLIC}:${port};transport=udp`,
    answers: 'manual',
  });
  const alice = await RawPhone.registered({ username: '1001', server: { host: '127.0.0.1', port } });
  try {
    const calling = alice.call('1002', { deadlineMs: 60_000 });
    await bob.event('CALL_INCOMING');
    bob.accept();
    const dialog = await calling;
    // baresip says so once the ACK is there.
    await bob.event('CALL_ESTABLISHED');
    bob.hangUp();
    expect(await alice.got('BYE', dialog.callId)).toContain('BYE');

    const again = alice.call('1002', { deadlineMs: 60_000 });
    await bob.event('CALL_INCOMING', 1);
    bob.accept();
    const second = await again;
    await bob.event('CALL_ESTABLISHED', 1);
    alice.inDialog('BYE', second);
    await bob.event('CALL_CLOSED', 1);

    const phones = destinations.lines
      .map((line) => line.replace(' (response)', ''))
      .filter((line) => line.startsWith('udp ') && !line.startsWith(`udp ${OUTSIDE}:`));
    expect([...new Set(phones)]).toEqual([`udp 127.0.0.1:${alice.end.port}`]);
  } finally {
    await bob.stop();
    alice.stop();
  }
});
