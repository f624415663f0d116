import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markSql } from '../support/marks.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { openSite, POSTGRES, type SiteDatabase, startVersion } from './site-databases.ts';

const ROWS = 2_000;
const KINDS = ['lastcalls', 'terminals', 'marks', 'heartbeat'] as const;

/** What must be the same of a copy before and after it was replaced. */
const SHAPE = `
  SELECT c.relname::text AS name, c.relacl::text[] AS privileges, c.reloptions AS options,
    (SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers,
    (SELECT array_agg(i.indexrelid::regclass::text ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
    (SELECT array_agg(pg_get_constraintdef(k.oid) ORDER BY pg_get_constraintdef(k.oid)) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n') AS constraints,
    (SELECT array_agg(h.inhparent::regclass::text) FROM pg_inherits h WHERE h.inhrelid = c.oid) AS parents
  FROM pg_class c WHERE c.relnamespace = 'lastcall'::regnamespace AND c.relkind = 'r' ORDER BY 1`;

describe.each(POSTGRES)('resynchronising a copy on $name', (version) => {
  let server: PostgresServer;
  let a: SiteDatabase;

  beforeAll(async () => {
    server = await startVersion(version);
    a = await openSite(server, 'a', ['b', 'c']);
    await a.query('replicator', fill('lastcalls_b'));
  });
  afterAll(async () => {
    await a.close();
    await server.remove();
  });

  function fill(table: string): string {
    return `INSERT INTO lastcall.${table} (terminal_id, last_dialed_call, last_dialed_date)
      SELECT n, 'number ' || n, '2026-01-01 00:00:00+00' FROM generate_series(1, ${ROWS}) n`;
  }
  /** As a worker does it: short lock_timeout, again until the locks are free. Returns the tries it took. */
  async function swap(client: pg.Client): Promise<number> {
    for (let tries = 1; ; tries++) {
      try {
        await client.query(
          `BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT lastcall.swap_copies('b'); COMMIT`,
        );
        return tries;
      } catch (error) {
        await client.query('ROLLBACK');
        if ((error as { code?: string }).code !== '55P03' || tries === 200) throw error;
        await delay(Math.random() * 20);
      }
    }
  }

  it('I6 I2 readers never miss a row and never wait long for a lock, through five resynchronisations in a row', async () => {
    const statements = [
      'SELECT count(*)::int AS n FROM lastcall.lastcalls_freshest',
      'SELECT count(*)::int AS n FROM lastcall.lastcalls_by_site',
      'SELECT count(*)::int AS n FROM lastcall.lastcalls_b',
    ];
    let running = true;
    let reads = 0;
    const fewer: unknown[] = [];
    const readers = statements.map(async (text) => {
      const client = await a.connect('app');
      while (running) {
        const { rows } = await client.query<{ n: number }>(text);
        reads++;
        if (rows[0]?.n !== ROWS) fewer.push({ text, ...rows[0] });
      }
    });
    let longestWaitMs = 0;
    const watcher = (async () => {
      const client = await a.connect('owner');
      while (running) {
        const { rows } = await client.query<{ ms: number | null }>(
          `SELECT extract(epoch FROM max(clock_timestamp() - query_start)) * 1000 AS ms FROM pg_stat_activity
             WHERE usename = 'lastcall_app' AND wait_event_type = 'Lock'`,
        );
        longestWaitMs = Math.max(longestWaitMs, Number(rows[0]?.ms ?? 0));
      }
    })();
    const worker = await a.connect('replicator');
    for (let round = 0; round < 5; round++) {
      await worker.query(`SELECT lastcall.begin_resync('b')`);
      await worker.query(fill('staging_lastcalls_b'));
      await swap(worker);
    }
    running = false;
    await Promise.all([...readers, watcher]);
    expect(fewer).toEqual([]);
    expect(reads).toBeGreaterThan(20);
    // 1 to 60 ms; the rest is for a machine that does other things as well.
    expect(longestWaitMs).toBeLessThan(250);
  });

  it('own rows go on being read and written through the view meanwhile', async () => {
    let running = true;
    let writes = 0;
    const writer = (async () => {
      const client = await a.connect('app');
      while (running) {
        const id = 1_000_000 + (writes % 50);
        await client.query(`INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, $2)`, [
          id,
          `${writes}`,
        ]);
        const { rows } = await client.query(
          'SELECT last_dialed_call AS number FROM lastcall.lastcalls WHERE terminal_id = $1',
          [id],
        );
        expect(rows).toEqual([{ number: `${writes}` }]);
        writes++;
      }
      await client.query('DELETE FROM lastcall.lastcalls WHERE terminal_id >= 1000000');
    })();
    const worker = await a.connect('replicator');
    for (let round = 0; round < 3; round++) {
      await worker.query(`SELECT lastcall.begin_resync('b')`);
      await worker.query(fill('staging_lastcalls_b'));
      await swap(worker);
    }
    running = false;
    await writer;
    expect(writes).toBeGreaterThan(10);
  });

  it('privileges, triggers, indexes, constraints and inheritance stay, however often', async () => {
    const before = await a.query('owner', SHAPE);
    const worker = await a.connect('replicator');
    for (let round = 0; round < 2; round++) {
      await worker.query(`SELECT lastcall.begin_resync('b')`);
      await worker.query(fill('staging_lastcalls_b'));
      await swap(worker);
      expect(await a.query('owner', SHAPE)).toEqual(before);
    }
    await expect(a.query('app', 'DELETE FROM lastcall.lastcalls_b')).rejects.toMatchObject({ code: '42501' });
  });

  it('what was only in the old copy is gone, what is new is there', async () => {
    const worker = await a.connect('replicator');
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    await worker.query(`${fill('staging_lastcalls_b')} WHERE n <> 7`);
    await worker.query(
      `INSERT INTO lastcall.staging_lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES (900001, 'new', now())`,
    );
    await swap(worker);
    const rows = await a.query(
      'app',
      'SELECT terminal_id AS id FROM lastcall.lastcalls_freshest WHERE terminal_id IN (7, 900001)',
    );
    expect(rows).toEqual([{ id: 900001 }]);
  });

  it('S3 a DELETE on the view reaches the copy that was swapped in, and its marks purge the own table', async () => {
    const worker = await a.connect('replicator');
    const own = `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, 'own', '2026-01-01 00:00:00+00')`;
    await a.query('app', own, [500_001]);
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    await worker.query(fill('staging_lastcalls_b'));
    await worker.query(markSql('b', 'staging_marks'), [500_001, 'all', '2026-01-02 00:00:00+00']);
    await swap(worker);
    expect(await a.query('app', 'SELECT FROM lastcall.lastcalls WHERE terminal_id = 500001')).toEqual([]);
    await a.query('app', own, [500_002]);
    await a.query('replicator', markSql('b'), [500_002, 'all', '2026-01-02 00:00:00+00']);
    expect(await a.query('app', 'SELECT FROM lastcall.lastcalls WHERE terminal_id = 500002')).toEqual([]);
    await a.query('app', 'DELETE FROM lastcall.lastcalls WHERE terminal_id = 3');
    expect(await a.query('app', 'SELECT FROM lastcall.lastcalls_b WHERE terminal_id = 3')).toEqual([]);
    expect(await a.query('app', 'SELECT scope FROM lastcall.forgotten_a WHERE terminal_id = 3')).toEqual([
      { scope: 'all' },
    ]);
  });

  it('begun again, an earlier beginning leaves nothing behind', async () => {
    const worker = await a.connect('replicator');
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    await worker.query(fill('staging_lastcalls_b'));
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    for (const kind of KINDS)
      expect((await worker.query(`SELECT FROM lastcall.staging_${kind}_b`)).rowCount).toBe(0);
  });

  it('the staging tables are in no view and no publication, and the application cannot write them', async () => {
    const worker = await a.connect('replicator');
    await worker.query(`SELECT lastcall.begin_resync('c')`);
    await worker.query(
      `INSERT INTO lastcall.staging_lastcalls_c (terminal_id, last_dialed_call, last_dialed_date) VALUES (600001, '1', now())`,
    );
    expect(
      await a.query('app', 'SELECT FROM lastcall.lastcalls_freshest WHERE terminal_id = 600001'),
    ).toEqual([]);
    await expect(
      a.query('app', 'INSERT INTO lastcall.staging_lastcalls_c (terminal_id) VALUES (1)'),
    ).rejects.toMatchObject({ code: '42501' });
  });

  it.each(['a', 'nobody', ''])('of %j is refused: there is no such copy', async (site) => {
    await expect(a.query('replicator', 'SELECT lastcall.begin_resync($1)', [site])).rejects.toMatchObject({
      code: '42704',
    });
    await expect(a.query('replicator', 'SELECT lastcall.swap_copies($1)', [site])).rejects.toMatchObject({
      code: '42704',
    });
  });

  it('I6 all lock waits of a swap have one deadline: readers in a row hold it, and who waits behind it, no longer than one', async () => {
    const worker = await a.connect('replicator');
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    await worker.query(fill('staging_lastcalls_b'));
    const tables = ['marks_b', 'terminals_b', 'lastcalls_b', 'heartbeat_b'];
    const readers = await Promise.all(
      tables.map(async (table) => {
        const reader = await a.connect('owner');
        await reader.query(`BEGIN; LOCK TABLE lastcall.${table} IN ACCESS SHARE MODE`);
        return reader;
      }),
    );
    const once = worker.query(
      `BEGIN; SET LOCAL lock_timeout = '200ms'; SELECT lastcall.swap_copies('b'); COMMIT`,
    );
    const outcome = once.then(
      () => 'swapped',
      (error: { code?: string }) => error.code,
    );
    // One after the other, each within the timeout of a single wait.
    for (const reader of readers) {
      await delay(120);
      await reader.query('COMMIT');
    }
    expect(await outcome).toBe('55P03');
    await worker.query('ROLLBACK');
    await swap(worker);
  });

  it('I6 a swap behind a long reader gives up at its lock_timeout, holding up nobody', async () => {
    const reader = await a.connect('app');
    await reader.query('BEGIN');
    await reader.query('SELECT FROM lastcall.lastcalls_freshest');
    const worker = await a.connect('replicator');
    await worker.query(`SELECT lastcall.begin_resync('b')`);
    await worker.query(fill('staging_lastcalls_b'));
    const once = worker.query(
      `BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT lastcall.swap_copies('b'); COMMIT`,
    );
    await expect(once).rejects.toMatchObject({ code: '55P03' });
    await worker.query('ROLLBACK');
    await reader.query('COMMIT');
    await swap(worker);
  });
});
