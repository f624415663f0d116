import { afterAll, beforeAll, expect, it } from 'vitest';
import { initSite } from '../../shared/postgres/init-site.ts';
import { withClient } from '../support/postgres.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
/** Of site a, from before its standby was promoted. */
let oldServer: (user?: string, password?: string) => string;

beforeAll(async () => {
  sites = await startTwoSites();
  await sites.server.createDatabase('old_a');
  oldServer = (user, password) => sites.server.url('old_a', user, password);
  await initSite({ ownerUrl: oldServer(), site: 'a', peers: ['b'], passwords: {} });
});
afterAll(() => sites.server.remove());

const sql = (url: string, text: string) => withClient(url, async (client) => (await client.query(text)).rows);
const salvage = (from: string) =>
  runCli(['salvage', '--from', from, '--json', '--config', sites.configFile('a')]);
const asCoordinator = () => oldServer('lastcall_coordinator', 'coordinator-pw');

it('what only the old server holds is brought to the primary, nothing there becomes older, and again it brings nothing', async () => {
  const dialed = (id: number, number: string, at: string) =>
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (${id}, '${number}', ${at});`;
  const earlier = `clock_timestamp() - interval '1 hour'`;
  await sql(
    sites.ownerUrl('a'),
    dialed(1, 'old', earlier) + dialed(2, 'newer', 'clock_timestamp()') + dialed(3, 'forgotten', earlier),
  );
  await sql(
    oldServer(),
    dialed(1, 'only there', 'clock_timestamp()') +
      dialed(2, 'older', earlier) +
      dialed(4, 'never here', 'clock_timestamp()') +
      `SELECT lastcall.forget(3, 'all')`,
  );
  // As the coordinator left it.
  await sql(
    oldServer(),
    'REVOKE USAGE ON SCHEMA lastcall FROM lastcall_app, lastcall_replicator, lastcall_peer',
  );

  const run = await salvage(asCoordinator());
  expect(run).toMatchObject({ exit: 0, err: '' });
  expect(JSON.parse(run.out)).toMatchObject({ site: 'a', rows: 2 });
  expect(JSON.parse(run.out).marks).toBeGreaterThan(0);
  const rows = await sql(
    sites.ownerUrl('a'),
    'SELECT terminal_id::int AS id, last_dialed_call AS n FROM lastcall.lastcalls_a WHERE last_dialed_call IS NOT NULL ORDER BY 1',
  );
  expect(rows).toEqual([
    { id: 1, n: 'only there' },
    { id: 2, n: 'newer' },
    { id: 4, n: 'never here' },
  ]);
  const again = await salvage(asCoordinator());
  expect(JSON.parse(again.out)).toMatchObject({ rows: 0, marks: 0, terminals: 0 });
});

it.each([
  ['the primary itself', () => sites.url('a', 'coordinator'), 'is the primary of site a itself'],
  ["another site's", () => sites.url('b', 'coordinator'), 'is a database of site b'],
])('%s is refused by name, and nothing is written', async (_what, from, said) => {
  const run = await salvage(from());
  expect(run.exit).toBe(1);
  expect(run.err + run.out).toContain(said);
});
