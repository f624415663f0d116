import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeOwnership } from '../../shared/postgres/replication/owner.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { elapsedMs } from '../support/elapsed.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { makeSite, query, type SiteDatabase, siteOf } from '../support/replication-pair.ts';
import { POSTGRES, startVersion } from './site-databases.ts';

let server: PostgresServer;
let a: SiteDatabase;

beforeAll(async () => {
  const [oldest] = POSTGRES;
  if (!oldest) throw new Error('no PostgreSQL to test with');
  server = await startVersion(oldest);
  a = await makeSite('a', ['b'], siteOf(server));
  await query(
    a.owner,
    `INSERT INTO lastcall.replication_position (peer, system_identifier, timeline, slot, generation, lsn)
     VALUES ('b', '1', 1, 'lastcall_a', 1, '0/1')`,
  );
});

afterAll(() => server?.remove());

/** A replicator that was frozen while it applied: its session stands, in a transaction that holds the position. */
async function frozenWorker(): Promise<{ client: pg.Client; ended: Promise<unknown> }> {
  const client = new pg.Client({ connectionString: a.replicator, application_name: 'lastcall-apply-b' });
  const ended = new Promise((resolve) => client.once('end', resolve).once('error', resolve));
  await client.connect();
  await client.query(`BEGIN; UPDATE lastcall.replication_position SET lsn = '0/2' WHERE peer = 'b'`);
  return { client, ended };
}

test.each(['replicator', 'coordinator'] as const)(
  'rule 32 a %s takes a direction over from a frozen worker within seconds, and what that had begun is undone',
  async (role) => {
    const { client, ended } = await frozenWorker();
    client.on('error', () => undefined);
    const connection = await connectToPrimary(a[role], { applicationName: `test-${role}` });
    let ownership: Awaited<ReturnType<typeof takeOwnership>> | undefined;
    const took = await elapsedMs(async () => {
      ownership = await takeOwnership(connection, 'b', `another ${role}`);
    });
    expect(took).toBeLessThan(8_000);
    expect(ownership?.position?.lsn).toBe(1n);
    await ended;
    await connection.close();
  },
  15_000,
);
