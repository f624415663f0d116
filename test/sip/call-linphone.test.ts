import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Linphone } from '../support/linphone.ts';
import { GateWorld } from '../support/raw/gate-world.ts';
import { methodOf } from '../support/raw/message-text.ts';
import { untilRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';
import { TEST_CERTIFICATE } from '../unit/sip/certificate.ts';

let world: GateWorld;
let linphone: Linphone | undefined;

beforeAll(async () => {
  world = await GateWorld.start();
});
afterAll(async () => {
  await linphone?.stop();
  await world.stop();
});

test('linphone over TLS registers, calls, and redials with *52: its Route to the server is no foreign one', async () => {
  const bob = await world.phone('1002', 'udp');
  bob.behaviour = { status: 486 };
  const rootCertificate = join(await mkdtemp(join(tmpdir(), 'lastcall-ca-')), 'ca.pem');
  await writeFile(rootCertificate, TEST_CERTIFICATE.ca);
  linphone = await Linphone.registered({
    username: '1001',
    password: passwordOf('1001'),
    realm: DOMAIN,
    server: `localhost:${world.ports.tls}`,
    rootCertificate,
  });
  const invites = () => bob.requests.filter((text) => methodOf(text) === 'INVITE');
  const calls = async (dialed: string, times: number) => {
    // It takes no call while the one before is still being ended.
    await waitFor(async () => (await linphone?.command(`call sip:${dialed}@${DOMAIN}`))?.includes('Ok'), {
      what: `linphone to dial ${dialed}`,
    });
    await waitFor(() => invites().length >= times, { what: `the call to ${dialed}` });
  };
  await calls('1002', 1);
  await untilRow(world.sites.databases.a, 1, { last_dialed_call: '1002' });
  await calls('*52', 2);
  expect(invites().every((text) => text.includes('1001'))).toBe(true);
});
