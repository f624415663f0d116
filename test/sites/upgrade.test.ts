import { afterAll, beforeAll, expect, test } from 'vitest';
import { initSite } from '../../shared/postgres/init-site.ts';
import { readMigrations } from '../../shared/postgres/migrate.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
import { query } from '../support/replication-pair.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { provision } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

// docs/install.md, "Upgrade": site b is of the version before, site a is ahead already.
let sites: CallSites;
beforeAll(async () => {
  sites = await CallSites.startReplicated((await readMigrations()).slice(0, -1));
  await provision(sites.databases.a, [
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
  ]);
});
afterAll(() => sites?.stop());

const level = async (site: 'a' | 'b'): Promise<unknown> =>
  (await query(sites.databases[site].owner, 'SELECT max(version) AS level FROM lastcall.migrations'))[0]?.[
    'level'
  ];

test('a site is upgraded while calls go on and the other replicates: no call fails, no record is missing', async () => {
  expect(Number(await level('b'))).toBe(Number(await level('a')) - 1);
  const [portA, first, second] = [await freePort(), await freePort(), await freePort()];
  const at = (site: 'a' | 'b', port: number) =>
    sites.run(site, {
      sip: { udp: `127.0.0.1:${port}`, tcp: undefined, ws: undefined },
      peers: { [site === 'a' ? 'b' : 'a']: { sip: `sip:127.0.0.1:${site === 'a' ? first : portA}` } },
    });
  await at('a', portA);
  const running: RunningSite[] = [await at('b', first), await at('b', second)];
  await waitFor(
    async () => {
      const rows = await query(sites.databases.b.owner, 'SELECT FROM lastcall.terminals_a');
      return rows.length === 3;
    },
    { what: 'the terminals at b' },
  );
  const callee = await sites.registered({ udp: `sip:127.0.0.1:${portA}` }, '1002');
  callee.behaviour = { status: 486 };
  // Two phones of b, each with one of its call-controls; what one cannot reach the other can.
  const phones: SipPhone[] = [
    await sites.registered({ udp: `sip:127.0.0.1:${first}` }, '1001'),
    await sites.registered({ udp: `sip:127.0.0.1:${second}` }, '1003'),
  ];
  let restarting: number | null = null;
  let going = true;
  const answers: number[] = [];
  const calling = (async () => {
    for (let turn = 0; going; turn++) {
      const chosen = turn % 2 === restarting ? (turn + 1) % 2 : turn % 2;
      const dialed = turn % 3 === 2 ? '*52' : '1002';
      answers.push((await (phones[chosen] as SipPhone).invite(dialed).final()).status);
    }
  })();
  const callsGoOn = async (what: string): Promise<void> => {
    const before = answers.length;
    await waitFor(() => answers.length >= before + 6, { what: `calls ${what}` });
  };

  await callsGoOn('between two versions');
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' }, 'b');
  await initSite({ ownerUrl: sites.databases.b.owner, site: 'b', peers: ['a'] });
  expect(await level('b')).toBe(await level('a'));
  await callsGoOn('after lastcall init');
  await sites.restartReplicator();
  await callsGoOn('after the replicator');
  for (const index of [0, 1]) {
    restarting = index;
    await callsGoOn('past the one that restarts');
    await running[index]?.stop();
    running[index] = await at('b', index === 0 ? first : second);
    await phones[index]?.register().final();
    restarting = null;
    await callsGoOn('over the new one');
  }
  going = false;
  await calling;

  expect(answers.length).toBeGreaterThan(30);
  // The first *52 of a phone may come before its first call.
  expect(answers.filter((status) => status !== 486).length).toBeLessThanOrEqual(2);
  expect(answers.slice(4).every((status) => status === 486)).toBe(true);
  await expectCopiesEqualOrigins(Object.values(sites.databases));
  await expectSameFreshest(Object.values(sites.databases));
});
