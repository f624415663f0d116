import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type HaSite, startHaSite, untilReplayed } from '../faults/ha-site.ts';
import { type PostgresServer, withClient } from '../support/postgres.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';

let site: HaSite;
let primary: PostgresServer;
let standby: PostgresServer;
let bouncer: PgBouncer;
const folder = mkdtempSync(join(tmpdir(), 'lastcall-switchover-'));

beforeAll(async () => {
  site = await startHaSite('a', ['b']);
  [primary, standby] = site.servers as [PostgresServer, PostgresServer];
  bouncer = await startPgBouncer(primary.port, { lastcall_app: 'lastcall-test', bouncer: 'any' });
});
afterAll(async () => {
  await bouncer.remove();
  await site.remove();
});

/** What an HA tool does, in the order that loses nothing: old primary down, standby up, PgBouncer pointed at it. */
function haTool(): string {
  const script = join(folder, 'switchover.sh');
  writeFileSync(
    script,
    `set -e
[ "$1" = 127.0.0.1 ]
kill -INT ${primary.pid}
while kill -0 ${primary.pid} 2>/dev/null; do sleep 0.05; done
psql -qAt '${standby.url()}' -c 'SELECT pg_promote(true, 30)'
sed -i 's/port=${primary.port}/port=${standby.port}/' ${bouncer.configFile}
kill -HUP ${bouncer.process.pid}
`,
  );
  return `sh ${script} {host}`;
}

function configFile(switchoverCommand: string): string {
  const path = join(folder, 'a.yaml');
  const { app, coordinator } = site.database;
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

/** Asks through PgBouncer without a pause until stopped; resolves with how often it asked. Rejects at the first error. */
async function keepAsking(signal: AbortSignal): Promise<{ asked: number; longestMs: number }> {
  const pool = new pg.Pool({ connectionString: bouncer.url('postgres', 'lastcall_app'), max: 1 });
  let asked = 0;
  let longestMs = 0;
  try {
    while (!signal.aborted) {
      const started = performance.now();
      await pool.query('SELECT count(*) FROM lastcall.lastcalls_freshest');
      longestMs = Math.max(longestMs, performance.now() - started);
      asked++;
    }
  } finally {
    await pool.end();
  }
  return { asked, longestMs };
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

it('calls see a pause, not an error, and replication is checked afterwards', async () => {
  await untilReplayed(primary, standby);
  const done = new AbortController();
  const asking = keepAsking(done.signal);
  const run = await runCli([
    'switchover',
    'a',
    '--to',
    `127.0.0.1:${standby.port}`,
    '--json',
    '--config',
    configFile(haTool()),
  ]);
  done.abort();
  expect(run).toMatchObject({ exit: 0, err: '' });
  const { asked, longestMs } = await asking;
  expect(asked).toBeGreaterThan(0);
  expect(longestMs).toBeGreaterThan(50);
  const { failover } = JSON.parse(run.out);
  const { rows } = await withClient(standby.url(), (client) =>
    client.query('SELECT reason FROM lastcall.failovers WHERE id = $1', [failover]),
  );
  expect(rows).toEqual([{ reason: 'switchover' }]);
  const { rows: port } = await withClient(bouncer.url('postgres', 'lastcall_app'), (client) =>
    client.query('SELECT inet_server_port() AS port'),
  );
  expect(port).toEqual([{ port: standby.port }]);
});
