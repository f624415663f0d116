import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database } from '../../shared/postgres/database.ts';
import {
  addKindColumn,
  adoptTable,
  defineKind,
  type KindDefinition,
  listKinds,
  removeKind,
} from '../../shared/postgres/kinds/define-kind.ts';
import { compareSites } from '../../shared/postgres/repair/compare.ts';
import { salvageRows } from '../../shared/postgres/repair/salvage.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const FORWARDINGS: KindDefinition = {
  kind: 'forwardings',
  key: ['terminal_id', 'reason'],
  groups: [
    { name: 'target', date: 'forwarded_at', columns: ['forward_to', 'rings'], value: 'forward_to' },
    { name: 'switch', date: 'switched_at', columns: ['active'] },
  ],
  follows: { kind: 'terminals', by: 'terminal_id' },
};
const COLUMNS = [
  { name: 'terminal_id', type: 'bigint' },
  { name: 'reason', type: 'text' },
  { name: 'forward_to', type: 'text' },
  { name: 'rings', type: 'integer' },
  { name: 'forwarded_at', type: 'timestamptz(6)' },
  { name: 'active', type: 'boolean' },
  { name: 'switched_at', type: 'timestamptz(6)' },
];

let server: PostgresServer;
let a: SiteDatabase;
let b: SiteDatabase;
let ownerOfA: Database;
let ownerOfB: Database;
const running: RunningReplicator[] = [];

beforeAll(async () => {
  server = await startPostgres();
  for (const site of ['a', 'b']) await server.createDatabase(`site_${site}`);
  a = await makeSite('a', ['b'], (user, password) => server.url('site_a', user, password));
  b = await makeSite('b', ['a'], (user, password) => server.url('site_b', user, password));
  running.push(startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator }));
  await Promise.all(running.map((one) => untilStreaming(one)));
  [ownerOfA, ownerOfB] = [a, b].map(({ owner }) => new Database({ url: owner, applicationName: 'test' })) as [
    Database,
    Database,
  ];
  await Promise.all([ownerOfA.start(), ownerOfB.start()]);
});

afterAll(async () => {
  await Promise.all([ownerOfA?.close(), ownerOfB?.close()]);
  await Promise.all(running.map(({ replicator }) => replicator.stop()));
  await server?.remove();
});

const forward = (site: SiteDatabase, terminal: number, to: string, reason = 'busy') =>
  query(site.app, 'INSERT INTO lastcall.forwardings (terminal_id, reason, forward_to) VALUES ($1, $2, $3)', [
    terminal,
    reason,
    to,
  ]);
const freshest = async (site: SiteDatabase, terminal: number) =>
  query(
    site.app,
    `SELECT reason, forward_to AS to, target_site AS site FROM lastcall.forwardings_freshest
       WHERE terminal_id = $1 ORDER BY reason`,
    [terminal],
  );
const until = (what: string, site: SiteDatabase, terminal: number, expected: readonly object[]) =>
  waitFor(
    async () => {
      expect(await freshest(site, terminal)).toEqual(expected);
      return true;
    },
    { what },
  );
const kindState = async (site: SiteDatabase) =>
  (
    await query(site.owner, `SELECT state, reason FROM lastcall.replication_kinds WHERE kind = 'forwardings'`)
  )[0];
const compare = async () => {
  const sites = new Map([a, b].map(({ site, replicator }) => [site, replicator]));
  const { equal, tables } = await compareSites({ sites, repair: false });
  expect(tables.map(({ table }) => table)).toContain('forwardings_a');
  expect(equal).toBe(true);
};
const everySite = async (work: (site: SiteDatabase) => Promise<void>) => {
  for (const site of [a, b]) await work(site);
};

test('a kind that the other site does not know yet waits for it, and the other kinds go on', async () => {
  await defineKind(ownerOfB, FORWARDINGS, COLUMNS);
  await forward(b, 1, 'early');
  await waitFor(async () => (await kindState(b))?.['reason'] === 'waiting-for-peer', {
    what: 'b to wait for a',
  });
  await query(b.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (1, 'goes on')`);
  await waitFor(
    async () => (await query(a.owner, 'SELECT FROM lastcall.lastcalls_b WHERE terminal_id = 1')).length,
  );
  await defineKind(ownerOfA, FORWARDINGS, COLUMNS);
  await until('what was written before', a, 1, [{ reason: 'busy', to: 'early', site: 'b' }]);
  await everySite(async (site) => {
    await waitFor(async () => (await kindState(site))?.['state'] === 'streaming', {
      what: 'forwardings to stream',
    });
  });
});

test('rows cross, the freshest counts for each group, and no date goes back', async () => {
  await forward(a, 2, '200');
  await until('a to show its own', b, 2, [{ reason: 'busy', to: '200', site: 'a' }]);
  await forward(b, 2, '201');
  await query(
    a.app,
    `INSERT INTO lastcall.forwardings (terminal_id, reason, forward_to, forwarded_at) VALUES (2, 'busy', 'old', '2020-01-01')`,
  );
  await everySite((site) =>
    until('the newest', site, 2, [{ reason: 'busy', to: '201', site: 'b' }]).then(() => {}),
  );
  await compare();
});

test('I8 the application writes no copy, whatever it sets', async () => {
  await forward(b, 3, '300');
  await until('the row', a, 3, [{ reason: 'busy', to: '300', site: 'b' }]);
  await query(
    a.app,
    `UPDATE lastcall.forwardings SET forward_to = 'stolen', forwarded_at = now()
       WHERE (SELECT set_config('lastcall.deleting', 'on', true)) = 'on' AND terminal_id = 3`,
  );
  expect(await freshest(a, 3)).toEqual([{ reason: 'busy', to: '300', site: 'b' }]);
});

test('S3 a DELETE reaches every site, of the key alone; forget takes one group', async () => {
  await forward(b, 4, '400');
  await forward(b, 4, '401', 'no-answer');
  await until('both', a, 4, [
    { reason: 'busy', to: '400', site: 'b' },
    { reason: 'no-answer', to: '401', site: 'b' },
  ]);
  await query(a.app, `DELETE FROM lastcall.forwardings WHERE terminal_id = 4 AND reason = 'busy'`);
  await everySite(async (site) => {
    await until('the other', site, 4, [{ reason: 'no-answer', to: '401', site: 'b' }]);
  });
  await waitFor(
    async () =>
      (await query(b.owner, `SELECT FROM lastcall.forwardings_b WHERE terminal_id = 4`)).length === 1,
  );
  await query(
    a.app,
    `SELECT lastcall.forget_key('forwardings', jsonb_build_array('4', 'no-answer')::text, 'target')`,
  );
  await everySite(async (site) => {
    await until('nothing', site, 4, []);
  });
  await compare();
});

test('S3 S6 the removal of a terminal takes them along, and its next owner begins without', async () => {
  const add = (site: SiteDatabase) =>
    query(
      site.app,
      `INSERT INTO lastcall.terminals (terminal_id, username, aor, number) VALUES (5, 'u5', 'sip:5@x', '5')`,
    );
  await add(a);
  await forward(b, 5, '500');
  await forward(b, 5, '501', 'no-answer');
  await waitFor(async () => (await freshest(a, 5)).length === 2);
  await query(a.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = 5');
  await everySite(async (site) => {
    await until('nothing', site, 5, []);
  });
  await add(b);
  await everySite(async (site) => {
    await until('still nothing', site, 5, []);
  });
  await forward(b, 5, '502');
  await until('the new one', a, 5, [{ reason: 'busy', to: '502', site: 'b' }]);
});

test('I6 a resynchronisation copies them anew', async () => {
  await query(b.owner, `UPDATE lastcall.forwardings_a SET forward_to = 'forged'`);
  const asked = running[1]?.states.length ?? 0;
  await query(
    b.app,
    `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ('a', clock_timestamp(), 'operator')
       ON CONFLICT (peer) DO UPDATE SET resync_requested_at = excluded.resync_requested_at, resync_reason = excluded.resync_reason`,
  );
  await waitFor(() => running[1]?.states.slice(asked).includes('resyncing operator'));
  await Promise.all(running.map((one) => untilStreaming(one)));
  await compare();
});

test('rule 21 what only a peer holds of them is salvaged, and nothing that was forgotten', async () => {
  await forward(a, 6, '600');
  await forward(a, 7, '700');
  await until('the rows', b, 7, [{ reason: 'busy', to: '700', site: 'a' }]);
  await Promise.all(running.splice(0).map(({ replicator }) => replicator.stop()));
  await query(
    a.owner,
    `SET session_replication_role = replica; DELETE FROM lastcall.forwardings_a WHERE terminal_id IN (6, 7)`,
  );
  await query(a.app, `SELECT lastcall.forget_key('forwardings', jsonb_build_array('7', 'busy')::text)`);
  const [peer, target] = await Promise.all(
    [b, a].map(({ coordinator }) => connectToPrimary(coordinator, { applicationName: 'test' })),
  );
  if (!peer || !target) throw new Error('no connections');
  const rows = await salvageRows({ peer, peerSite: 'b', target, targetSite: 'a' }, async () => {});
  await Promise.all([peer.close(), target.close()]);
  expect(rows).toBe(1);
  expect(
    await query(a.app, 'SELECT forward_to FROM lastcall.forwardings WHERE terminal_id IN (6, 7)'),
  ).toEqual([{ forward_to: '600' }]);
  running.push(startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator }));
  await Promise.all(running.map((one) => untilStreaming(one)));
});

test('a column added at one site first is held back until the other has it', async () => {
  await addKindColumn(ownerOfA, 'forwardings', { name: 'note', type: 'text' }, 'target');
  await query(
    a.app,
    `INSERT INTO lastcall.forwardings (terminal_id, reason, forward_to, note) VALUES (8, 'busy', '800', 'from a')`,
  );
  await until('the row', b, 8, [{ reason: 'busy', to: '800', site: 'a' }]);
  await waitFor(async () => (await kindState(b))?.['reason'] === 'columns-held-back');
  await addKindColumn(ownerOfB, 'forwardings', { name: 'note', type: 'text' }, 'target');
  await waitFor(
    async () =>
      (
        await query(
          b.app,
          `SELECT FROM lastcall.forwardings_freshest WHERE terminal_id = 8 AND note = 'from a'`,
        )
      ).length,
  );
  expect((await listKinds(ownerOfA)).find(({ kind }) => kind === 'forwardings')).toMatchObject({
    epoch: 2,
    groups: [{ columns: ['forward_to', 'rings', 'note'], value: 'forward_to' }, { name: 'switch' }],
    follows: { kind: 'terminals', by: 'terminal_id' },
  });
  await compare();
});

test('an existing table is adopted with its rows, and only what the filter lets leaves the site', async () => {
  await query(
    a.owner,
    'CREATE TABLE public.mailboxes (id text PRIMARY KEY, unread int, seen_at timestamptz, secret text)',
  );
  await query(
    a.owner,
    `INSERT INTO public.mailboxes VALUES ('m1', 3, '2026-01-01', 'x'), ('m2', 4, '2026-01-02', 'y'), ('local', 5, '2026-01-03', 'z')`,
  );
  const definition: KindDefinition = {
    kind: 'mailboxes',
    key: ['id'],
    groups: [{ name: 'count', date: 'seen_at', columns: ['unread'] }],
    rowFilter: `id <> 'local'`,
  };
  expect(await adoptTable(ownerOfA, definition, 'public.mailboxes', ['id', 'unread', 'seen_at'])).toBe(3);
  await defineKind(ownerOfB, definition, [
    { name: 'id', type: 'text' },
    { name: 'unread', type: 'integer' },
    { name: 'seen_at', type: 'timestamptz' },
  ]);
  const at = (site: SiteDatabase) => query(site.app, 'SELECT id FROM lastcall.mailboxes_a ORDER BY id');
  await waitFor(async () => (await at(b)).length === 2);
  expect(await at(b)).toEqual([{ id: 'm1' }, { id: 'm2' }]);
  await query(a.app, `UPDATE lastcall.mailboxes SET unread = 6 WHERE id IN ('m1', 'local')`);
  await waitFor(
    async () => (await query(b.app, `SELECT FROM lastcall.mailboxes_a WHERE unread = 6`)).length === 1,
  );
  await compare();
});

test.each<[string, Partial<KindDefinition>]>([
  ['a column it does not have', { groups: [{ name: 'g', date: 'at', columns: ['nothing'] }] }],
  ['a date of another type', { groups: [{ name: 'g', date: 'value' }] }],
  ['no group', { groups: [] }],
  ['a filter over more than the key', { rowFilter: 'value = 1' }],
  ['what is not provisioning to follow', { follows: { kind: 'lastcalls', by: 'id' } }],
  ['a name that is taken', { kind: 'lastcalls' }],
])('a definition with %s is refused, and nothing is left of it', async (_, wrong) => {
  const definition = {
    kind: 'wrong',
    key: ['id'],
    groups: [{ name: 'g', date: 'at', columns: ['value'] }],
    ...wrong,
  };
  const columns = [
    { name: 'id', type: 'bigint' },
    { name: 'value', type: 'integer' },
    { name: 'at', type: 'timestamptz' },
  ];
  await expect(defineKind(ownerOfA, definition, columns)).rejects.toMatchObject({ name: 'LastcallError' });
  expect((await listKinds(ownerOfA)).map(({ kind }) => kind)).not.toContain('wrong');
});

test('removed, nothing of it is left, and the other kinds go on', async () => {
  for (const kind of ['mailboxes', 'forwardings']) {
    await removeKind(ownerOfA, kind);
    await removeKind(ownerOfB, kind);
  }
  for (const { owner } of [a, b])
    expect(
      await query(
        owner,
        `SELECT relname FROM pg_class WHERE relnamespace = 'lastcall'::regnamespace AND relname ~ 'forwardings|mailboxes'
         UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'lastcall'::regnamespace AND proname ~ 'forwardings|mailboxes'`,
      ),
    ).toEqual([]);
  await expect(removeKind(ownerOfA, 'lastcalls')).rejects.toMatchObject({ code: 'INVALID_VALUE' });
  await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (9, 'goes on')`);
  await waitFor(
    async () => (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 9')).length,
  );
});
