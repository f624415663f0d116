import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  addTerminal,
  findTerminal,
  listTerminals,
  removeTerminal,
  replaceTerminal,
} from '../../shared/postgres/terminals.ts';
import { type PgBouncer, startPgBouncer } from '../pg/pgbouncer.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { query } from '../support/replication-pair.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';
import { dial, openStores } from './recording-stores.ts';

let site: HaSite;
let primary: PostgresServer;
let standby: PostgresServer;

beforeAll(async () => {
  site = await startHaSite('a', ['b']);
  [primary, standby] = site.servers as [PostgresServer, PostgresServer];
});
afterAll(() => site.remove());

const terminal = (terminalId: number, username: string) => ({
  terminalId,
  userId: null,
  username,
  aor: `sip:${username}@lastcall.test`,
  ha1Md5: null,
  ha1Sha256: null,
  number: String(9000 + terminalId),
  numberId: null,
  features: [],
  enabled: true,
});

describe.each(['session', 'transaction'] as const)('PgBouncer with %s pooling', (poolMode) => {
  const first = poolMode === 'session' ? 1_000 : 2_000;
  let bouncer: PgBouncer;

  beforeAll(async () => {
    bouncer = await startPgBouncer(primary.port, { lastcall_app: 'lastcall-test', bouncer: 'any' }, poolMode);
  });
  afterAll(() => bouncer.remove());

  test('calls are recorded, read and forgotten, terminals kept, by many connections at once', async () => {
    const stores = await openStores(bouncer.url('postgres', 'lastcall_app'));
    const { database, writer, dialled } = stores;
    try {
      const ids = Array.from({ length: 200 }, (_, index) => first + index);
      const written = await Promise.all(ids.map((id) => writer.record(dial(id, `5${id}`))));
      expect(new Set(written)).toEqual(new Set(['durable']));
      const answers = await Promise.all(ids.map((id) => dialled(id)));
      expect(answers.map((answer) => answer.kind === 'number' && answer.number)).toEqual(
        ids.map((id) => `5${id}`),
      );
      await database.query('SELECT lastcall.forget($1)', [first]);
      expect(await dialled(first)).toEqual({ kind: 'none' });

      await addTerminal(database, terminal(first, `before-${poolMode}`));
      await replaceTerminal(database, terminal(first, `after-${poolMode}`));
      expect(await findTerminal(database, { terminalId: first })).toMatchObject({
        username: `after-${poolMode}`,
      });
      await removeTerminal(database, first);
      expect(await listTerminals(database)).toEqual([]);
    } finally {
      await database.close();
    }
  });
});

test('an address that moves from the primary to the promoted standby, as a virtual IP, is followed', async () => {
  const address = await TcpRelay.open(primary.port);
  const { database, writer, dialled } = await openStores(
    address.url(primary.url('postgres', 'lastcall_app', 'lastcall-test')),
  );
  try {
    expect(await writer.record(dial(1, '100'))).toBe('durable');
    await untilReplayed(primary, standby);
    await primary.kill();
    await waitFor(() => database.state.state === 'down', { what: 'the loss to be noticed' });
    await promote(standby);
    address.moveTo(standby.port);
    await waitFor(() => database.state.state === 'up', { what: 'the promoted standby to be found' });
    expect(await writer.record(dial(2, '200'))).toBe('durable');
    expect(await dialled(1)).toMatchObject({ number: '100' });
    expect(await query(standby.url(), 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 2')).toHaveLength(
      1,
    );
  } finally {
    await database.close();
    await address.close();
  }
});
