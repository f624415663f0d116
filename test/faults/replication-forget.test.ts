import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatTimestamptz, type Micros, micros, parseTimestamptz } from '../../shared/domain/micros.ts';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';

/** Operations in all; a longer run is asked for with the variable. */
const OPERATIONS = Number(process.env['LASTCALL_INTERLEAVINGS'] ?? 1_000);
const PER_RUN = 50;
const GROUPS = ['dialed', 'received', 'terminated'] as const;
type Group = (typeof GROUPS)[number];
type Scope = Group | 'all';

type Operation =
  | { readonly kind: 'write'; readonly client: number; readonly terminal: number; readonly group: Group }
  | { readonly kind: 'forget'; readonly client: number; readonly terminal: number; readonly scope: Scope }
  | { readonly kind: 'delete'; readonly client: number; readonly terminal: number };

let server: PostgresServer;
let sites: SiteDatabase[];
const running: RunningReplicator[] = [];
/** Two sessions a site: what one site does at once is interleaved as well. */
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await startPostgres();
  for (const site of ['a', 'b']) await server.createDatabase(`site_${site}`);
  const a = await makeSite('a', ['b'], (user, password) => server.url('site_a', user, password));
  const b = await makeSite('b', ['a'], (user, password) => server.url('site_b', user, password));
  sites = [a, b];
  running.push(startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator }));
  await Promise.all(running.map((one) => untilStreaming(one)));
  for (const site of [a, a, b, b]) {
    const client = new pg.Client({ connectionString: site.app });
    await client.connect();
    clients.push(client);
  }
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await Promise.all(running.map(({ replicator }) => replicator.stop()));
  await server?.remove();
});

/** What was acknowledged: dates written and marks set, by terminal and group. */
class Model {
  readonly #written = new Map<string, Micros>();
  readonly #marked = new Map<string, Micros>();

  wrote(terminal: number, group: Group, at: Micros): void {
    keepNewest(this.#written, `${terminal} ${group}`, at);
  }

  forgot(terminal: number, scope: Scope, at: Micros): void {
    for (const group of GROUPS)
      if (scope === 'all' || scope === group) keepNewest(this.#marked, `${terminal} ${group}`, at);
  }

  /** The newest write that no mark covers; `null` when all are forgotten. */
  freshest(terminal: number, group: Group): Micros | null {
    const written = this.#written.get(`${terminal} ${group}`) ?? Number.NEGATIVE_INFINITY;
    const marked = this.#marked.get(`${terminal} ${group}`) ?? Number.NEGATIVE_INFINITY;
    return written > marked ? (written as Micros) : null;
  }
}

function keepNewest(map: Map<string, Micros>, key: string, at: Micros): void {
  if (at > (map.get(key) ?? Number.NEGATIVE_INFINITY)) map.set(key, at);
}

/** Rolled back because another session was in the way: not acknowledged, so the client comes again. */
const IN_THE_WAY = new Set(['40P01', '55P03', '40001']);

async function acknowledged(operation: Operation, base: number, model: Model): Promise<void> {
  for (;;) {
    try {
      await perform(operation, base, model);
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || !IN_THE_WAY.has(error.code ?? '')) throw error;
    }
  }
}

let lastMicros = 0;
/** This machine's clock, never twice the same. */
function now(): Micros {
  lastMicros = Math.max(lastMicros + 1, Date.now() * 1000);
  return micros(lastMicros);
}

async function perform(operation: Operation, base: number, model: Model): Promise<void> {
  const client = clients[operation.client];
  const terminal = base + operation.terminal;
  if (!client) return;
  if (operation.kind === 'write') {
    const at = now();
    const prefix = `last_${operation.group}`;
    await client.query(
      `INSERT INTO lastcall.lastcalls (terminal_id, ${prefix}_call, ${prefix}_date) VALUES ($1, $2, $3)`,
      [terminal, String(at), formatTimestamptz(at)],
    );
    model.wrote(terminal, operation.group, at);
  } else if (operation.kind === 'forget') {
    const { rows } = await client.query('SELECT lastcall.forget($1, $2)::text AS mark', [
      terminal,
      operation.scope,
    ]);
    model.forgot(terminal, operation.scope, parseTimestamptz(rows[0].mark) as Micros);
  } else {
    await client.query('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [terminal]);
  }
}

const client = fc.integer({ min: 0, max: 3 });
const terminal = fc.integer({ min: 1, max: 3 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      client,
      terminal,
      group: fc.constantFrom(...GROUPS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('forget' as const),
      client,
      terminal,
      scope: fc.constantFrom<Scope>('all', ...GROUPS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), client, terminal }) },
);

let nextBase = 0;

test(`I3 I4 S3 ${OPERATIONS} writes and forgets at both sites at once: what was acknowledged and not forgotten is read everywhere, what was forgotten nowhere`, {
  timeout: 60_000 + OPERATIONS * 60,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: PER_RUN, maxLength: PER_RUN }), async (operations) => {
      nextBase += 10;
      const base = nextBase;
      const model = new Model();
      await Promise.all(
        clients.map(async (_, index) => {
          for (const one of operations.filter((each) => each.client === index))
            await acknowledged(one, base, model);
        }),
      );
      await expectCopiesEqualOrigins(sites);
      // Every mark that stands: also those of deletes through the view, which give their date to nobody.
      for (const mark of await query<{ terminal: number; scope: Scope; at: string }>(
        sites[0]?.owner ?? '',
        `SELECT key::int AS terminal, scope, forgotten_at::text AS at FROM lastcall.marks_by_site
         WHERE kind = 'lastcalls' AND key::int BETWEEN $1 AND $2`,
        [base, base + 9],
      )) {
        model.forgot(mark.terminal, mark.scope, parseTimestamptz(mark.at) as Micros);
      }
      for (const site of sites) {
        const rows = await query(
          site.owner,
          'SELECT * FROM lastcall.lastcalls_freshest WHERE terminal_id BETWEEN $1 AND $2',
          [base, base + 9],
        );
        for (let id = base + 1; id <= base + 3; id++) {
          const row = rows.find((one) => Number(one['terminal_id']) === id);
          for (const group of GROUPS) {
            const expected = model.freshest(id, group);
            expect(row?.[`last_${group}_call`] ?? null, `${group} of terminal ${id} at ${site.site}`).toBe(
              expected === null ? null : String(expected),
            );
          }
        }
      }
      await expectSameFreshest(sites);
    }),
    { numRuns: Math.max(1, Math.round(OPERATIONS / PER_RUN)), endOnFailure: true },
  );
});
