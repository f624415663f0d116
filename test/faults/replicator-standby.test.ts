import { afterEach, expect, test } from 'vitest';
import { takeOwnershipToApply } from '../../shared/postgres/replication/owner.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const servers: PostgresServer[] = [];
const running: RunningReplicator[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ replicator }) => replicator.stop()));
  await Promise.all(servers.splice(0).map((server) => server.remove()));
});

async function makePair(): Promise<{ a: SiteDatabase; b: SiteDatabase }> {
  servers.push(...(await Promise.all([startPostgres(), startPostgres()])));
  const [first, second] = servers as [PostgresServer, PostgresServer];
  return {
    a: await makeSite('a', ['b'], siteOf(first)),
    b: await makeSite('b', ['a'], siteOf(second)),
  };
}
const follow = (site: SiteDatabase, peer: SiteDatabase): RunningReplicator => {
  const replicator = startReplicator(site, { [peer.site]: peer.peer });
  running.push(replicator);
  return replicator;
};
const ownerOf = async (site: SiteDatabase) =>
  (
    await query<{ owner: string; epoch: string }>(
      site.owner,
      'SELECT owner, epoch FROM lastcall.replication_owner',
    )
  )[0];
const statusOf = async (site: SiteDatabase) =>
  (await query<{ state: string }>(site.owner, 'SELECT state FROM lastcall.replication_status'))[0]?.state;

test('rule 7 a second replicator of a site stands by: the first goes on undisturbed, and is replaced at once when it stops', async () => {
  const { a, b } = await makePair();
  const first = follow(b, a);
  await untilStreaming(first);
  const before = await ownerOf(b);
  const second = follow(b, a);
  await waitFor(() => second.states.includes('stopped standby'), { what: 'the second to stand by' });
  await waitFor(async () => (await statusOf(b)) === 'streaming', {
    what: 'the first to say that it streams',
  });
  const statesBefore = first.states.length;
  // Long enough for it to look again, several times.
  for (let id = 1; id <= 30; id++) {
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, 'x')`, [
      id,
    ]);
    await waitFor(
      async () =>
        (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = $1', [id])).length === 1,
      { everyMs: 100 },
    );
    expect(await statusOf(b), 'who stands by says nothing of it').not.toBe('stopped');
  }
  expect(await ownerOf(b)).toEqual(before);
  expect(first.states.slice(statesBefore).filter((state) => state.startsWith('stopped'))).toEqual([]);

  await first.replicator.stop();
  running.splice(running.indexOf(first), 1);
  await untilStreaming(second);
  await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (99, 'x')`);
  await expectCopiesEqualOrigins([a, b]);
});

test('rule 32 a worker whose session stands but that says nothing more is replaced within seconds', async () => {
  const { b } = await makePair();
  const frozen = await connectToPrimary(b.replicator, { applicationName: 'lastcall-apply-a' });
  const other = await connectToPrimary(b.replicator, { applicationName: 'lastcall-apply-a' });
  try {
    expect(await takeOwnershipToApply(frozen, 'a', 'frozen')).toMatchObject({ epoch: 1n });
    expect(await takeOwnershipToApply(other, 'a', 'other')).toBe('standby');
    const taken = await waitFor(
      async () => {
        const ownership = await takeOwnershipToApply(other, 'a', 'other');
        return ownership === 'standby' ? null : ownership;
      },
      { what: 'the takeover', deadlineMs: 60_000 },
    );
    expect(taken).toMatchObject({ epoch: 2n });
  } finally {
    await Promise.all([frozen.close(), other.close()]);
  }
});
