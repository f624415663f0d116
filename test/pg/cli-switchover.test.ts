import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { haDatabase, untilReplayed } from '../faults/ha-site.ts';
import { dial, openStores, PATIENT_MS } from '../faults/recording-stores.ts';
import { type RepmgrCluster, startRepmgrCluster } from '../faults/repmgr-cluster.ts';
import { type PostgresServer, withClient } from '../support/postgres.ts';
import { makeSite, type SiteDatabase, siteOf } from '../support/replication-pair.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';

let cluster: RepmgrCluster;
let database: SiteDatabase;
let primary: PostgresServer;
let standby: PostgresServer;
let bouncer: PgBouncer;
const folder = mkdtempSync(join(tmpdir(), 'lastcall-switchover-'));

beforeAll(async () => {
  cluster = await startRepmgrCluster();
  ({ primary, standby } = cluster);
  await makeSite('a', ['b'], siteOf(primary));
  database = haDatabase('a', [primary, standby]);
  bouncer = await startPgBouncer(primary.port, { lastcall_app: 'lastcall-test', bouncer: 'any' });
});
afterAll(async () => {
  await bouncer?.remove();
  await cluster?.remove();
});

/** repmgr, and then PgBouncer is pointed at the new primary. */
function byRepmgr(): string {
  const script = join(folder, 'switchover.sh');
  writeFileSync(
    script,
    `set -e
[ "$1" = 127.0.0.1 ]
(${cluster.switchover})
sed -i 's/port=${primary.port}/port=${standby.port}/' ${bouncer.configFile}
kill -HUP ${bouncer.process.pid}
`,
  );
  return `sh ${script} {host}`;
}

function configFile(switchoverCommand: string): string {
  const path = join(folder, 'a.yaml');
  const { app, coordinator } = database;
  writeFileSync(
    path,
    stringify({
      site: 'a',
      domain: 'lastcall.test',
      postgres: { url: app, coordinatorUrl: coordinator },
      redis: { url: 'redis://127.0.0.1:1' },
      api: { listen: '127.0.0.1:1' },
      coordinator: { switchoverCommand, pgbouncerUrls: [bouncer.url('pgbouncer', 'bouncer')] },
    }),
  );
  return path;
}

/** Records and asks through PgBouncer until stopped. Rejects at the first error. */
async function keepCalling(signal: AbortSignal): Promise<{ durabilities: string[]; longestMs: number }> {
  const {
    database: pool,
    writer,
    dialled,
  } = await openStores(bouncer.url('postgres', 'lastcall_app'), PATIENT_MS);
  const records: Promise<string>[] = [];
  let longestMs = 0;
  try {
    for (let id = 1; !signal.aborted; id++) {
      const began = performance.now();
      const record = writer.record(dial(id, `5${id}`));
      records.push(record);
      await record;
      expect(await dialled(id)).toMatchObject({ number: `5${id}` });
      longestMs = Math.max(longestMs, performance.now() - began);
    }
    return { durabilities: await Promise.all(records), longestMs };
  } finally {
    await pool.close();
  }
}

it('a switchover whose command fails resumes PgBouncer and says why', async () => {
  const run = await runCli([
    'switchover',
    'a',
    '--to',
    `127.0.0.1:${standby.port}`,
    '--config',
    configFile('echo no quorum >&2; exit 3'),
  ]);
  expect(run).toMatchObject({ exit: 1, out: '' });
  expect(run.err).toContain('ended with 3: no quorum');
  const answer = await withClient(bouncer.url('postgres', 'lastcall_app'), (client) =>
    client.query('SELECT 1 AS one'),
  );
  expect(answer.rows).toEqual([{ one: 1 }]);
});

it('a switchover by repmgr under calls: they see a pause, not an error, nothing is lost, and replication is checked', async () => {
  await untilReplayed(primary, standby);
  const done = new AbortController();
  const calling = keepCalling(done.signal);
  const run = await runCli([
    'switchover',
    'a',
    '--to',
    `127.0.0.1:${standby.port}`,
    '--json',
    '--config',
    configFile(byRepmgr()),
  ]);
  done.abort();
  expect(run).toMatchObject({ exit: 0, err: '' });
  const { durabilities, longestMs } = await calling;
  expect(new Set(durabilities)).toEqual(new Set(['durable']));
  expect(longestMs).toBeGreaterThan(50);
  const { failover } = JSON.parse(run.out);
  const { rows } = await withClient(standby.url(), (client) =>
    client.query('SELECT reason FROM lastcall.failovers WHERE id = $1', [failover]),
  );
  expect(rows).toEqual([{ reason: 'switchover' }]);
  const kept = await withClient(standby.url(), (client) =>
    client.query('SELECT count(*)::int AS count FROM lastcall.lastcalls_a'),
  );
  expect(kept.rows).toEqual([{ count: durabilities.length }]);
  const { rows: port } = await withClient(bouncer.url('postgres', 'lastcall_app'), (client) =>
    client.query('SELECT inet_server_port() AS port'),
  );
  expect(port).toEqual([{ port: standby.port }]);
  // The old primary follows the new one.
  const old = await withClient(primary.url(), (client) =>
    client.query('SELECT pg_is_in_recovery() AS standby'),
  );
  expect(old.rows).toEqual([{ standby: true }]);
});
