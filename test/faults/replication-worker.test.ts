import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  startSystemPostgres,
  untilStreaming,
} from '../support/replication-pair.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { waitFor } from '../support/wait-for.ts';

let origin: PostgresServer;
let subscriber: PostgresServer;
let a: SiteDatabase;
let b: SiteDatabase;
let toOrigin: TcpRelay;
let toOwn: TcpRelay;
let atB: RunningReplicator;
let nextTerminal = 1;

/** Site a on PostgreSQL 15, its subscriber on 18; between the worker and each of them a relay. */
beforeAll(async () => {
  [origin, subscriber] = await Promise.all([
    startSystemPostgres({ settings: { wal_sender_timeout: '2s' } }),
    startPostgres(),
  ]);
  a = await makeSite('a', ['b'], siteOf(origin));
  b = await makeSite('b', ['a'], siteOf(subscriber));
  toOrigin = await TcpRelay.open(origin.port);
  toOwn = await TcpRelay.open(subscriber.port);
});

afterAll(async () => {
  await Promise.all([toOrigin?.close(), toOwn?.close()]);
  await Promise.all([origin?.remove(), subscriber?.remove()]);
});

beforeEach(async () => {
  atB = startWorker();
  await untilStreaming(atB);
});

afterEach(async () => {
  toOrigin.heal();
  toOwn.heal();
  await atB.replicator.stop();
});

const startWorker = (): RunningReplicator =>
  startReplicator({ ...b, replicator: toOwn.url(b.replicator) }, { a: toOrigin.url(a.replicator) });

/** One row a call, each of a new terminal; beats keep the direction alive to `untilStreaming`. */
async function write(): Promise<number> {
  const id = nextTerminal++;
  await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, 'x')`, [id]);
  return id;
}

/** The origin has no replicator of its own here: its beats come from the test. */
let beating: NodeJS.Timeout;
beforeAll(() => {
  beating = setInterval(() => void query(a.replicator, 'SELECT lastcall.beat()').catch(() => undefined), 100);
});
afterAll(() => clearInterval(beating));

describe('links and servers', () => {
  test('the link is cut for a while', async () => {
    toOrigin.cut();
    for (let i = 0; i < 20; i++) await write();
    await waitFor(() => atB.states.includes('stopped peer-unreachable'));
    toOrigin.heal();
    await expectCopiesEqualOrigins([a, b]);
  });

  test('rule 10 a half-open link is noticed by its silence', async () => {
    const before = atB.states.length;
    toOrigin.silence();
    await write();
    await waitFor(() => atB.states.slice(before).includes('stopped peer-unreachable'), {
      deadlineMs: 60_000,
    });
    toOrigin.heal();
    await expectCopiesEqualOrigins([a, b]);
  });

  test('the origin is restarted, then killed', async () => {
    await origin.stop('fast');
    await origin.start();
    await write();
    await expectCopiesEqualOrigins([a, b]);
    await origin.kill();
    await origin.start();
    await write();
    await expectCopiesEqualOrigins([a, b]);
  });

  test('the own database is killed, with batches committed that were not yet on disk', async () => {
    const before = atB.states.length;
    for (let i = 0; i < 20; i++) await write();
    await subscriber.kill();
    await write();
    await waitFor(() => atB.states.includes('stopped database-unreachable'));
    await subscriber.start();
    await expectCopiesEqualOrigins([a, b]);
    await untilStreaming(atB);
    expect(atB.states.slice(before).filter((state) => state.startsWith('resyncing'))).toEqual([]);
  });

  test('the origin is stopped (SIGSTOP) for two wal_sender_timeouts', async () => {
    const before = atB.states.length;
    origin.pause();
    try {
      await waitFor(() => atB.states.slice(before).includes('stopped peer-unreachable'), {
        deadlineMs: 60_000,
      });
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    } finally {
      origin.resume();
    }
    await write();
    await expectCopiesEqualOrigins([a, b]);
  });
});

describe('slots and owners', () => {
  test('rule 7 of two workers of one direction the older loses, and the copies stay right', async () => {
    const second = startWorker();
    try {
      await waitFor(() => second.states.includes('stopped standby'), { what: 'the second to stand by' });
      for (let i = 0; i < 50; i++) await write();
      // As if the first had said nothing for long: the second takes over while the first goes on applying.
      await waitFor(
        async () => {
          await query(b.owner, `UPDATE lastcall.replication_owner SET renewed_at = '-infinity'`);
          await write();
          return [...atB.states, ...second.states].some((state) => /ownership-lost|slot-busy/.test(state));
        },
        { what: 'one of them to lose' },
      );
      await atB.replicator.stop();
      await untilStreaming(second);
      await expectCopiesEqualOrigins([a, b]);
    } finally {
      await second.replicator.stop();
    }
  });

  test('the slot is dropped behind its back: a resync with its reason, never a gap', async () => {
    const before = atB.states.length;
    toOrigin.cut();
    await waitFor(async () => {
      await query(a.owner, `SELECT pg_drop_replication_slot('lastcall_b')`);
      return true;
    });
    await write();
    toOrigin.heal();
    await waitFor(() => atB.states.slice(before).includes('needs-resync slot-missing'));
    await expectCopiesEqualOrigins([a, b]);
  });

  test('rule 3 the slot is made anew behind its back: the gap is seen', async () => {
    const before = atB.states.length;
    toOrigin.cut();
    await waitFor(async () => {
      await query(a.owner, `SELECT pg_drop_replication_slot('lastcall_b')`);
      return true;
    });
    await write();
    await query(a.owner, `SELECT pg_create_logical_replication_slot('lastcall_b', 'pgoutput')`);
    await write();
    toOrigin.heal();
    await waitFor(() => atB.states.slice(before).includes('needs-resync gap'));
    await expectCopiesEqualOrigins([a, b]);
  });

  test('the slot is invalidated by the server for the WAL it holds', async () => {
    const before = atB.states.length;
    toOrigin.cut();
    await query(a.owner, `ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'`);
    await query(a.owner, 'SELECT pg_reload_conf()');
    for (let i = 0; i < 4; i++) {
      await query(
        a.owner,
        `SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000000)) FROM generate_series(1, 20)`,
      );
      await query(a.owner, 'SELECT pg_switch_wal()');
      await query(a.owner, 'CHECKPOINT');
    }
    await waitFor(
      async () =>
        (await query(a.owner, `SELECT FROM pg_replication_slots WHERE wal_status = 'lost'`)).length === 1,
    );
    await query(a.owner, 'ALTER SYSTEM RESET max_slot_wal_keep_size');
    await query(a.owner, 'SELECT pg_reload_conf()');
    await write();
    toOrigin.heal();
    await waitFor(() => atB.states.slice(before).includes('needs-resync slot-lost'));
    await expectCopiesEqualOrigins([a, b]);
  });

  test('S2 a position set back is a gap and never replayed', async () => {
    for (let i = 0; i < 3; i++) await write();
    await expectCopiesEqualOrigins([a, b]);
    await waitFor(
      async () =>
        (
          await query(
            a.owner,
            `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall_b' AND confirmed_flush_lsn > restart_lsn`,
          )
        ).length === 1,
    );
    await atB.replicator.stop();
    await query(b.owner, `UPDATE lastcall.replication_position SET lsn = '0/1' WHERE peer = 'a'`);
    atB = startWorker();
    await untilStreaming(atB);
    expect(atB.states).toContain('needs-resync gap');
    await expectCopiesEqualOrigins([a, b]);
  });
});
