import { afterAll, beforeAll, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { runSipp } from '../support/sipp.ts';
import { ownRow, untilRow, writeRow } from '../support/site-rows.ts';
import { waitFor } from '../support/wait-for.ts';

// docs/sip/ims.md: the S-CSCF is SIPp, at one port for what it sends and at another for what comes back.
let sites: CallSites;
let a: RunningSite;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  a = await sites.run('a', { peers: { b: {} }, sip: { trustedPeers: ['127.0.0.1/32'] } });
});
afterAll(() => sites.stop());

test('a star code over ISC comes back along the Route of the S-CSCF, with the number meant', async () => {
  const before = new Date();
  await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: before });
  const port = await freePort();
  const back = await runSipp('isc-return', { port });
  const session = await runSipp('isc-originating', {
    target: a.udp.replace('sip:', ''),
    service: '*52',
    keys: { user: '1001', return: `127.0.0.1:${port}` },
  });
  await Promise.all([back.succeeded, session.succeeded]);
  // R1 the redialed number is the last dialed one, dated anew; R15 nobody but this server saw the answer.
  await waitFor(
    async () => {
      const row = await ownRow(sites.databases.a, 1);
      return row?.['last_dialed_call'] === '1002' && (row['last_dialed_date'] as Date) > before;
    },
    { what: 'the call with its own date' },
  );
  await untilRow(sites.databases.a, 2, { last_terminated_call: '1001' });
});
