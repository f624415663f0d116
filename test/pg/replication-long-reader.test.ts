import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins, watchReaders } from '../support/invariants.ts';
import { withClient } from '../support/postgres.ts';
import {
  query,
  type ReplicationPair,
  type SiteDatabase,
  startReplicationPair,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { POSTGRES, startVersion } from './site-databases.ts';

/** Any longer shows no more: READER_SECONDS=60 makes it the reader of a minute. */
const READER_MS = Number(process.env['READER_SECONDS'] ?? 4) * 1_000;
const ROWS = 6_000;

describe.each(POSTGRES)('a resynchronisation behind a long reader on $name', (version) => {
  let pair: ReplicationPair;
  let a: SiteDatabase;
  let b: SiteDatabase;

  beforeAll(async () => {
    pair = await startReplicationPair(await startVersion(version));
    ({ a, b } = pair);
    await pair.streaming();
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT i, i::text FROM generate_series(1, ${ROWS}) i`,
    );
    await expectCopiesEqualOrigins([a, b]);
  });
  afterAll(() => pair?.stop());

  /** Another one each time that the copying begins. */
  const staging = async () =>
    (
      await query<{ oid: number | null }>(
        b.owner,
        `SELECT to_regclass('lastcall.staging_lastcalls_a')::oid AS oid`,
      )
    )[0]?.oid ?? null;

  test('I6 it is copied once, whoever reads for however long, and no other reader is held', {
    timeout: 30_000 + READER_MS,
  }, async () => {
    const begun = new Set<number>();
    const others = await withClient(b.app, async (reader) => {
      await reader.query('BEGIN');
      await reader.query('SELECT count(*) FROM lastcall.lastcalls_freshest');
      await query(
        b.app,
        `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ('a', now(), 'operator')
         ON CONFLICT (peer) DO UPDATE SET resync_requested_at = now(), resync_reason = 'operator'`,
      );
      await waitFor(async () => (await staging()) !== null, { what: 'the copying to begin' });
      const watched = watchReaders(b, 'lastcalls_freshest');
      const until = performance.now() + READER_MS;
      while (performance.now() < until) {
        const oid = await staging();
        if (oid !== null) begun.add(oid);
        await delay(50);
      }
      // What the origin wrote meanwhile comes by the new slot, which keeps it.
      await query(a.app, `UPDATE lastcall.lastcalls SET last_dialed_call = '7' WHERE terminal_id = 7`);
      await reader.query('COMMIT');
      return watched;
    });
    await waitFor(async () => (await staging()) === null, { what: 'the swap' });
    await expectCopiesEqualOrigins([a, b]);
    const { fewestRows, longestWaitMs } = await others.stop();
    expect([...begun]).toHaveLength(1);
    expect(fewestRows).toBe(ROWS);
    expect(longestWaitMs).toBeLessThan(250);
  });
});
