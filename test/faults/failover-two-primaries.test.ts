import { afterAll, beforeAll, expect, test } from 'vitest';
import { deriveEvents } from '../../services/coordinator/alerts/derive.ts';
import { observe } from '../../services/coordinator/observe.ts';
import { SiteLink } from '../../services/coordinator/site-link.ts';
import { micros } from '../../shared/domain/micros.ts';
import { findPrimary } from '../../shared/postgres/find-primary.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { elapsedMs } from '../support/elapsed.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { type HaSite, newFloors, promote, startHaSite } from './ha-site.ts';

let a: HaSite;
let old: PostgresServer;
let promoted: PostgresServer;

beforeAll(async () => {
  a = await startHaSite('a', ['b']);
  [old, promoted] = a.servers as [PostgresServer, PostgresServer];
  // Nobody stopped the old one: as after a network split, or a supervisor that starts it again.
  await promote(promoted);
});

afterAll(() => a.remove());

test('of two servers that take writes everybody follows the one on the newer timeline, and operators are told', async () => {
  expect((await findPrimary(a.database.app, 2_000)).url).toContain(`:${promoted.port}/`);
  const connection = await connectToPrimary(a.database.replicator, { applicationName: 'test' });
  expect((await connection.query('SHOW port')).rows[0]?.['port']).toBe(String(promoted.port));
  await connection.close();

  const link = new SiteLink('a', a.database.coordinator, 'test');
  const seen = await observe([link], 2_000, newFloors());
  await link.close();
  expect(seen.get('a')?.primaryUrl).toContain(`:${promoted.port}/`);
  const events = deriveEvents(
    null,
    { seen, clockAt: micros(Date.now() * 1000), journalled: 0 },
    { home: 'a', allowedSkewMs: 5_000 },
  );
  expect(events.map(({ event }) => event)).toEqual(['two-primaries']);
});

test('a mute server among the hosts delays the search by no more than its grace', async () => {
  old.pause();
  const took = await elapsedMs(async () => {
    expect((await findPrimary(a.database.app, 5_000)).url).toContain(`:${promoted.port}/`);
    const connection = await connectToPrimary(a.database.replicator, { applicationName: 'test' });
    await connection.close();
  });
  expect(took).toBeLessThan(3_000);
  old.resume();
});
