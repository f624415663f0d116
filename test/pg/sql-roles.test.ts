import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { aTerminal, openSite, ROLES, type SiteDatabase } from './site-databases.ts';

const READ = 'SELECT';
const WRITE = 'SELECT INSERT UPDATE DELETE';
const NOTHING = '';

/** Who may do what: each table or view, then app, replicator, coordinator. What is not listed is nobody's. */
const TABLES: Readonly<Record<string, readonly [string, string, string]>> = {
  // Own tables: the application writes them, the replicator only reads what it sends, the coordinator salvages.
  lastcalls_a: [WRITE, READ, WRITE],
  terminals_a: [WRITE, READ, WRITE],
  marks_a: [READ, READ, WRITE],
  heartbeat_a: [READ, READ, WRITE],
  // Copies (I8).
  lastcalls_b: [READ, WRITE, WRITE],
  terminals_b: [READ, WRITE, WRITE],
  marks_b: [READ, WRITE, WRITE],
  heartbeat_b: [READ, WRITE, WRITE],
  // What people and programs use.
  lastcalls: [WRITE, NOTHING, WRITE],
  terminals: [WRITE, READ, WRITE],
  lastcalls_freshest: [READ, READ, READ],
  lastcalls_by_site: [READ, READ, READ],
  terminals_by_site: [READ, READ, READ],
  marks_by_site: [READ, READ, READ],
  forgotten_a: [READ, READ, READ],
  forgotten_b: [READ, READ, READ],
  heartbeat_by_site: [READ, READ, READ],
  sites: [READ, READ, READ],
  // The empty parent and the shapes are nobody's but the owner's.
  lastcalls_all: [NOTHING, NOTHING, NOTHING],
  terminals_all: [NOTHING, NOTHING, NOTHING],
  marks_all: [NOTHING, NOTHING, NOTHING],
  heartbeat_all: [NOTHING, NOTHING, NOTHING],
  kinds: [READ, READ, READ],
  kind_groups: [READ, READ, READ],
  kind_columns: [READ, READ, READ],
  migrations: [NOTHING, NOTHING, NOTHING],
  replication_position: [READ, WRITE, WRITE],
  replication_owner: [READ, WRITE, WRITE],
  replication_control: ['SELECT INSERT UPDATE', WRITE, WRITE],
  replication_status: [READ, WRITE, WRITE],
  replication_dropped_slot: [READ, WRITE, WRITE],
  replication_kinds: [READ, WRITE, WRITE],
  own_beats: [NOTHING, READ, READ],
  // Only call-control signs.
  secrets: [READ, NOTHING, NOTHING],
  // With the target's password.
  targets: [NOTHING, READ, NOTHING],
  target_status: [READ, WRITE, NOTHING],
  // Flows are the coordinator's; who holds one is everybody's to see.
  leases: [READ, READ, 'SELECT INSERT UPDATE'],
  // Only the api and the command line of this site; what is in the audit log stays as it is.
  api_tokens: ['SELECT INSERT DELETE', NOTHING, NOTHING],
  call_records: ['SELECT INSERT', NOTHING, NOTHING],
  call_records_kept: ['SELECT', NOTHING, NOTHING],
  audit_log: ['SELECT INSERT', NOTHING, NOTHING],
  failovers: [READ, NOTHING, WRITE],
  failover_steps: [READ, NOTHING, WRITE],
};

const ALL = ['app', 'replicator', 'coordinator'] as const;
const REPLICATING = ['replicator', 'coordinator'] as const;
const FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  this_site: ALL,
  later_than: ALL,
  deleting: ALL,
  writes_copies: ALL,
  removal_reach: ALL,
  forget: ['app', 'coordinator'],
  forget_key: ['app', 'coordinator'],
  is_forgotten: REPLICATING,
  beat: REPLICATING,
  judge_beat: REPLICATING,
  owner_works: REPLICATING,
  refuse_older: ['replicator', 'coordinator'],
  begin_resync: REPLICATING,
  swap_copies: REPLICATING,
  sweep_forgotten: REPLICATING,
  collect_forgotten: REPLICATING,
  require_ownership: REPLICATING,
  forget_dropped_slot: REPLICATING,
  advance_position: REPLICATING,
  end_workers: REPLICATING,
  trim_audit_log: ['app'],
  keep_call_records: ['app'],
  expire_last_calls: ['app'],
  is_live: ALL,
  take_lease: ['coordinator'],
  renew_lease: ['coordinator'],
  release_lease: ['coordinator'],
  require_lease: ['coordinator'],
  fence: ['coordinator'],
  end_fenced_sessions: ['coordinator'],
  unfence: ['coordinator'],
};

describe('roles', () => {
  let server: PostgresServer;
  let a: SiteDatabase;

  beforeAll(async () => {
    server = await startPostgres();
    a = await openSite(server, 'a', ['b']);
  });
  afterAll(async () => {
    await a.close();
    await server.remove();
  });

  it.each(ROLES)('lastcall_%s has exactly the table privileges it needs', async (role) => {
    const rows = await a.query<{ name: string; privileges: string }>(
      'owner',
      `SELECT c.relname::text AS name, coalesce(string_agg(p, ' ' ORDER BY n) FILTER (WHERE has_table_privilege($1, c.oid, p)), '') AS privileges
         FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) WITH ORDINALITY AS x (p, n)
         WHERE c.relnamespace = 'lastcall'::regnamespace AND c.relkind IN ('r', 'v', 'p') GROUP BY 1`,
      [`lastcall_${role}`],
    );
    const actual = Object.fromEntries(rows.map((row) => [row.name, row.privileges]));
    const place = ROLES.indexOf(role);
    // A table that another migration added and that nobody listed here must be nobody's.
    const unlisted = rows.filter((row) => !(row.name in TABLES)).map((row) => [row.name, NOTHING]);
    const expected = Object.entries(TABLES).map(([name, privileges]) => [name, privileges[place]]);
    expect(actual).toEqual(Object.fromEntries([...expected, ...unlisted]));
  });

  it('functions are nobody’s until granted, trigger functions stay nobody’s', async () => {
    const rows = await a.query<{ name: string; roles: string[] }>(
      'owner',
      `SELECT p.proname::text AS name, array_agg(r ORDER BY n) AS roles
         FROM pg_proc p, unnest(ARRAY['app', 'replicator', 'coordinator']) WITH ORDINALITY AS x (r, n)
         WHERE p.pronamespace = 'lastcall'::regnamespace AND has_function_privilege('lastcall_' || r, p.oid, 'EXECUTE') GROUP BY 1`,
    );
    const actual = Object.fromEntries(rows.map((row) => [row.name, row.roles]));
    expect(actual).toEqual(FUNCTIONS);
  });

  it('a function made by a later migration is nobody’s either', async () => {
    await a.query(
      'owner',
      `SET ROLE lastcall_owner; CREATE FUNCTION lastcall.made_later() RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET ROLE`,
    );
    const [row] = await a.query(
      'owner',
      `SELECT has_function_privilege('lastcall_app', 'lastcall.made_later()', 'EXECUTE') AS may`,
    );
    await a.query('owner', 'DROP FUNCTION lastcall.made_later()');
    expect(row).toEqual({ may: false });
  });

  it('no role is a superuser, makes roles or databases, or passes row security', async () => {
    const rows = await a.query(
      'owner',
      `SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'lastcall%' AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls)`,
    );
    expect(rows).toEqual([]);
  });

  it('a peer’s login reads what is replicated, and writes nothing', async () => {
    const rows = await a.query<{ name: string; privileges: string }>(
      'owner',
      `SELECT c.relname::text AS name, string_agg(p, ' ' ORDER BY n) FILTER (WHERE has_table_privilege('lastcall_peer', c.oid, p)) AS privileges
         FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) WITH ORDINALITY AS x (p, n)
         WHERE c.relnamespace = 'lastcall'::regnamespace AND c.relkind IN ('r', 'v') GROUP BY 1`,
    );
    const readable = rows.filter(({ privileges }) => privileges !== null);
    expect(new Set(readable.map(({ privileges }) => privileges))).toEqual(new Set(['SELECT']));
    const kinds = ['heartbeat', 'lastcalls', 'marks', 'terminals'];
    expect(readable.map(({ name }) => name).sort()).toEqual(
      [
        ...kinds.flatMap((kind) => [`${kind}_a`, `${kind}_b`, `${kind}_by_site`]),
        ...['forgotten_a', 'forgotten_b', 'kind_columns', 'kind_groups', 'kinds', 'lastcalls_freshest'],
        ...['own_beats', 'replication_dropped_slot', 'replication_position', 'sites'],
      ].sort(),
    );
    const functions = await a.query<{ name: string }>(
      'owner',
      `SELECT proname::text AS name FROM pg_proc WHERE pronamespace = 'lastcall'::regnamespace
         AND has_function_privilege('lastcall_peer', oid, 'EXECUTE') ORDER BY 1`,
    );
    expect(functions.map(({ name }) => name)).toEqual([
      'deleting',
      'forget_dropped_slot',
      'judge_beat',
      'later_than',
      'removal_reach',
      'this_site',
      'writes_copies',
    ]);
  });

  it('only those that replicate may replicate', async () => {
    const rows = await a.query(
      'owner',
      `SELECT rolname::text AS role FROM pg_roles WHERE rolname LIKE 'lastcall%' AND rolreplication ORDER BY 1`,
    );
    expect(rows).toEqual([
      { role: 'lastcall_coordinator' },
      { role: 'lastcall_peer' },
      { role: 'lastcall_replicator' },
    ]);
  });

  it.each([
    ['INSERT', `INSERT INTO lastcall.lastcalls_b (terminal_id) VALUES (1)`],
    ['UPDATE', 'UPDATE lastcall.lastcalls_b SET user_id = 1'],
    ['DELETE', 'DELETE FROM lastcall.lastcalls_b'],
    ['TRUNCATE', 'TRUNCATE lastcall.lastcalls_b'],
    ['COPY', `COPY lastcall.lastcalls_b FROM STDIN`],
    ['a forget mark of another site', `INSERT INTO lastcall.marks_b VALUES ('1', 'lastcalls', 'all', now())`],
    ['a forget mark of its own site', `INSERT INTO lastcall.marks_a VALUES ('1', 'lastcalls', 'all', now())`],
    ['a terminal of another site', `DELETE FROM lastcall.terminals_b`],
    ['the empty parent', 'DELETE FROM lastcall.lastcalls_all'],
    ['TRUNCATE of its own table', 'TRUNCATE lastcall.lastcalls_a'],
    ['TRUNCATE through the parent', 'TRUNCATE lastcall.lastcalls_all'],
    ['a resynchronisation', `SELECT lastcall.begin_resync('b')`],
    ['a swap', `SELECT lastcall.swap_copies('b')`],
    ['another site', `SELECT lastcall.add_site('x')`],
    ['a site by hand', `INSERT INTO lastcall.sites VALUES ('x', false)`],
    ['a purge without a mark', `SELECT lastcall.purge('lastcalls', '1', 'all', 'infinity', true)`],
    ['a position', `DELETE FROM lastcall.replication_position`],
    ['passwords', 'SELECT rolpassword FROM pg_authid'],
    ['a change of the audit log', `UPDATE lastcall.audit_log SET who = 'nobody'`],
    ['a hole in the audit log', 'DELETE FROM lastcall.audit_log'],
    ['a role for a token', `UPDATE lastcall.api_tokens SET role = 'admin'`],
    ['a table in the schema', 'CREATE TABLE lastcall.mine ()'],
    ['another role', 'SET ROLE lastcall_owner'],
    ['server files', `SELECT pg_read_file('postgresql.conf')`],
  ])('I8 the application is refused: %s', async (_, text) => {
    await expect(a.query('app', text)).rejects.toMatchObject({ code: '42501' });
  });

  it('I8 no setting of a session opens a copy to an UPDATE through the view', async () => {
    const terminal = aTerminal();
    await a.query(
      'replicator',
      `INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, '1002', now())`,
      [terminal],
    );
    const client = await a.connect('app');
    for (const setting of ['deleting', 'purging']) await client.query(`SET lastcall.${setting} = 'on'`);
    const update = await client.query(
      `UPDATE lastcall.lastcalls SET last_dialed_call = 'stolen' WHERE terminal_id = ${terminal}`,
    );
    expect(update.rowCount).toBe(0);
    await client.query(
      `BEGIN; SET LOCAL lastcall.deleting = 'on'; UPDATE lastcall.lastcalls SET last_dialed_call = 'stolen'; COMMIT`,
    );
    expect(
      await a.query('app', 'SELECT last_dialed_call FROM lastcall.lastcalls_b WHERE terminal_id = $1', [
        terminal,
      ]),
    ).toEqual([{ last_dialed_call: '1002' }]);
  });

  describe('I8 whatever a statement sets meanwhile', () => {
    const NEWER = '2026-02-01 00:00:00+00';
    const copyOf = async (terminal: number) =>
      a.query('app', 'SELECT last_dialed_call AS call FROM lastcall.lastcalls_b WHERE terminal_id = $1', [
        terminal,
      ]);
    const putCopy = (terminal: number) =>
      a.query(
        'replicator',
        `INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, '1002', '2026-01-01 00:00:00+00')`,
        [terminal],
      );

    it.each([
      `UPDATE lastcall.lastcalls SET last_dialed_call = 'stolen', last_dialed_date = '${NEWER}'
         WHERE (SELECT set_config('lastcall.deleting', 'on', true)) = 'on' AND terminal_id = $1`,
      `WITH d AS (DELETE FROM lastcall.lastcalls WHERE terminal_id = -1 RETURNING 1)
         UPDATE lastcall.lastcalls SET last_dialed_call = 'stolen', last_dialed_date = '${NEWER}'
         WHERE (SELECT count(*) FROM d) = 0 AND terminal_id = $1`,
      `MERGE INTO lastcall.lastcalls l USING (VALUES ($1::bigint)) v (id) ON l.terminal_id = v.id
         WHEN MATCHED AND l.last_dialed_call = 'none' THEN DELETE
         WHEN MATCHED THEN UPDATE SET last_dialed_call = 'stolen', last_dialed_date = '${NEWER}'`,
    ])('an UPDATE changes no copy: %s', async (text) => {
      const terminal = aTerminal();
      await putCopy(terminal);
      for (const setting of ['off', 'on']) {
        const client = await a.connect('app');
        await client.query(`SET lastcall.deleting = ${setting}; SET lastcall.purging = ${setting}`);
        await client.query(text, [terminal]);
      }
      expect(await copyOf(terminal)).toEqual([{ call: '1002' }]);
    });

    it.each([
      `AND upper(lower(upper(lower(set_config('lastcall.deleting', 'off', true) || '')))) = 'OFF'`,
      `AND set_config('lastcall.purging', 'on', true) = 'on'`,
      `AND (SELECT set_config('lastcall.deleting', 'off', true)) = 'off'`,
    ])('a DELETE takes no row of a copy away without a mark: %s', async (trick) => {
      const terminal = aTerminal();
      await putCopy(terminal);
      await a.query('app', `DELETE FROM lastcall.lastcalls WHERE terminal_id = $1 ${trick}`, [terminal]);
      const left = await copyOf(terminal);
      const marks = await a.query('app', 'SELECT FROM lastcall.forgotten_a WHERE terminal_id = $1', [
        terminal,
      ]);
      expect(left.length + marks.length).toBe(1);
    });

    it('nothing moves the own table back in time', async () => {
      const terminal = aTerminal();
      const client = await a.connect('app');
      await client.query(`SET lastcall.purging = 'on'; SET lastcall.deleting = 'on'`);
      await client.query(
        `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, '1002', '${NEWER}')`,
        [terminal],
      );
      for (const table of ['lastcalls', 'lastcalls_a'])
        await client.query(
          `UPDATE lastcall.${table} SET last_dialed_call = 'old', last_dialed_date = '2026-01-01 00:00:00+00' WHERE terminal_id = $1`,
          [terminal],
        );
      const { rows } = await client.query(
        'SELECT last_dialed_call AS call FROM lastcall.lastcalls_a WHERE terminal_id = $1',
        [terminal],
      );
      expect(rows).toEqual([{ call: '1002' }]);
      await client.query('DELETE FROM lastcall.lastcalls_a WHERE terminal_id = $1', [terminal]);
      expect(
        await a.query('app', 'SELECT scope FROM lastcall.forgotten_a WHERE terminal_id = $1', [terminal]),
      ).toEqual([{ scope: 'all' }]);
    });
  });

  it.each([
    `INSERT INTO lastcall.lastcalls_a (terminal_id) VALUES (1)`,
    'UPDATE lastcall.lastcalls_a SET user_id = 1',
    'DELETE FROM lastcall.lastcalls_a',
    `INSERT INTO lastcall.lastcalls (terminal_id) VALUES (1)`,
    'DELETE FROM lastcall.terminals',
    `INSERT INTO lastcall.marks_a VALUES ('1', 'lastcalls', 'all', now())`,
    `SELECT lastcall.forget(1)`,
    'SELECT rolpassword FROM pg_authid',
  ])('the replicator is refused what belongs to this site: %s', async (text) => {
    await expect(a.query('replicator', text)).rejects.toMatchObject({ code: '42501' });
  });

  it('others see nothing at all', async () => {
    const owner = await a.connect('owner');
    await owner.query('CREATE ROLE stranger');
    await owner.query('SET ROLE stranger');
    for (const text of [
      'SELECT FROM lastcall.terminals',
      'SELECT FROM lastcall.sites',
      'SELECT lastcall.this_site()',
    ])
      await expect(owner.query(text)).rejects.toMatchObject({ code: '42501' });
  });

  it('the application’s statements leave a lock’s queue after a second, whoever forgot them', async () => {
    const rows = await a.query(
      'app',
      `SELECT current_setting('lock_timeout') AS lock, current_setting('TimeZone') AS zone`,
    );
    expect(rows).toEqual([{ lock: '1s', zone: 'UTC' }]);
  });

  it.each(ROLES)(
    'no statement of lastcall_%s is compiled: the look for targets cost 120 ms a second',
    async (role) => {
      expect(await a.query(role, `SELECT current_setting('jit') AS jit`)).toEqual([{ jit: 'off' }]);
    },
  );
});
