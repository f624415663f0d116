import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { forgottenUntil } from '../../shared/domain/forget.ts';
import { callGroup, emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import { type Micros, micros } from '../../shared/domain/micros.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import { type KnownLastCalls, readLastCalls } from '../../shared/postgres/last-calls/read-last-calls.ts';
import { recordCalls } from '../../shared/postgres/last-calls/record-calls.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { aTerminal, carry, openSite, type SiteDatabase } from './site-databases.ts';

type SiteName = 'a' | 'b';
type Group = 'dialed' | 'received';
const SITES = ['a', 'b'] as const;
const GROUPS = ['dialed', 'received'] as const;
const NEVER = micros(Number.NEGATIVE_INFINITY);

type Step =
  | { readonly kind: 'record' | 'insert'; readonly site: SiteName; readonly group: Group }
  | { readonly kind: 'replay'; readonly site: SiteName; readonly which: number }
  | { readonly kind: 'forget'; readonly site: SiteName; readonly scope: 'all' | Group }
  | { readonly kind: 'delete' | 'replicate'; readonly site: SiteName };

const site = fc.constantFrom(...SITES);
const group = fc.constantFrom(...GROUPS);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('record' as const), site, group }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('insert' as const), site, group }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replay' as const), site, which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('forget' as const),
      site,
      scope: fc.constantFrom('all' as const, ...GROUPS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), site }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('replicate' as const), site }) },
);

/** A call as it stands in its site's table. */
interface Recorded {
  readonly group: Group;
  readonly number: string;
  readonly at: Micros;
}

/** Two sites with one terminal: the real tables beside what they must come to. */
class Run {
  readonly terminal = aTerminal();
  readonly recorded: Recorded[] = [];
  readonly marks: { scope: 'all' | Group; at: Micros }[] = [];
  readonly seen = new Map<string, Micros>();
  readonly replays: LastCalls[] = [];
  readonly databases: Readonly<Record<SiteName, SiteDatabase>>;
  #calls = 0;

  constructor(databases: Readonly<Record<SiteName, SiteDatabase>>) {
    this.databases = databases;
  }

  async take(step: Step): Promise<void> {
    const database = this.databases[step.site];
    switch (step.kind) {
      case 'record':
      case 'insert': {
        const number = `${++this.#calls}`;
        if (step.kind === 'record') await this.#record(step.site, step.group, number);
        else await this.#insert(step.site, step.group, number);
        const call = (await this.look(step.site))[step.group];
        // R13: whatever the clocks say, the call just made is the one that its site shows.
        expect(call?.number).toBe(number);
        if (call) this.recorded.push(call);
        return;
      }
      case 'replay': {
        const row = this.replays[step.which];
        if (row) await recordCalls(asQueryable(database), step.site, [row], 'as-recorded');
        break;
      }
      case 'forget':
        await database.query('app', 'SELECT lastcall.forget($1, $2)', [this.terminal, step.scope]);
        return this.#expectForgotten(step.site, step.scope);
      case 'delete': {
        const { sources } = await this.#known(step.site);
        await database.query('app', 'DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [this.terminal]);
        if (sources.length > 0) return this.#expectForgotten(step.site, 'all');
        break;
      }
      case 'replicate':
        await carry(this.databases[step.site === 'a' ? 'b' : 'a'], database, this.terminal);
    }
    await this.look(step.site);
  }

  /** What a reader at this site sees now. */
  async look(name: SiteName): Promise<Record<Group, Recorded | null>> {
    const [{ sources, marks }, freshest] = await Promise.all([this.#known(name), this.#freshest(name)]);
    const choice = (of: Group): Recorded | null => {
      const chosen = chooseFreshest([of], sources, marks);
      return chosen.kind === 'number' ? { group: of, number: chosen.number, at: chosen.entry.at } : null;
    };
    const shown = { dialed: choice('dialed'), received: choice('received') };
    // The view and the pure choice are two forms of the same rules.
    expect(freshest).toEqual(shown);
    for (const of of GROUPS) {
      // I2: a date goes back only by being forgotten.
      const floor = micros(Math.max(shown[of]?.at ?? NEVER, forgottenUntil(of, marks)));
      expect(floor).toBeGreaterThanOrEqual(this.seen.get(`${name}/${of}`) ?? NEVER);
      this.seen.set(`${name}/${of}`, floor);
    }
    return shown;
  }

  /** What is left of everything that was recorded anywhere, once it has reached everybody. */
  expected(of: Group): Recorded | null {
    const marks = this.marks.filter((mark) => mark.scope === 'all' || mark.scope === of);
    const until = Math.max(NEVER, ...marks.map((mark) => mark.at));
    const left = this.recorded.filter((call) => call.group === of && call.at > until);
    return left.toSorted((x, y) => y.at - x.at)[0] ?? null;
  }

  async #record(name: SiteName, of: Group, number: string): Promise<void> {
    // Site b's clock is two seconds behind.
    const clock = micros(Date.now() * 1000 - (name === 'b' ? 2_000_000 : 0));
    const row = { ...emptyLastCalls(this.terminal), [of]: callGroup(clock, { number }) };
    await recordCalls(asQueryable(this.databases[name]), name, [row], 'live');
    this.replays.push(row);
  }

  async #insert(name: SiteName, of: Group, number: string): Promise<void> {
    const text = `INSERT INTO lastcall.lastcalls (terminal_id, last_${of}_call) VALUES ($1, $2)`;
    await this.databases[name].query('app', text, [this.terminal, number]);
  }

  async #expectForgotten(name: SiteName, scope: 'all' | Group): Promise<void> {
    const shown = await this.look(name);
    for (const of of GROUPS) if (scope === 'all' || scope === of) expect(shown[of]).toBeNull();
    const marks = (await this.#known(name)).marks.filter((mark) => mark.scope === scope);
    this.marks.push({ scope, at: forgottenUntil(scope === 'all' ? 'dialed' : scope, marks) });
  }

  async #known(name: SiteName): Promise<KnownLastCalls> {
    const all = await readLastCalls(asQueryable(this.databases[name]), [this.terminal], 5_000);
    return all.get(this.terminal) ?? { sources: [], marks: [] };
  }

  async #freshest(name: SiteName): Promise<Record<Group, Recorded | null>> {
    const [row] = await this.databases[name].query<Record<string, string & Micros>>(
      'app',
      `SELECT last_dialed_call AS dialed, last_dialed_date AS dialed_at, last_received_call AS received,
         last_received_date AS received_at FROM lastcall.lastcalls_freshest WHERE terminal_id = $1`,
      [this.terminal],
    );
    const group = (of: Group): Recorded | null => {
      const [number, at] = [row?.[of], row?.[`${of}_at`]];
      return number && at ? { group: of, number, at } : null;
    };
    return { dialed: group('dialed'), received: group('received') };
  }
}

const asQueryable = (database: SiteDatabase): Queryable => ({
  query: (text, values = []) => database.query('app', text, typeof values === 'function' ? values() : values),
});

describe('two sites under random interleavings', () => {
  let server: PostgresServer;
  let databases: Readonly<Record<SiteName, SiteDatabase>>;

  beforeAll(async () => {
    server = await startPostgres();
    const [a, b] = await Promise.all([openSite(server, 'a', ['b']), openSite(server, 'b', ['a'])]);
    databases = { a, b };
  });
  afterAll(async () => {
    await Promise.all([databases.a.close(), databases.b.close()]);
    await server.remove();
  });

  it('I1 I2 I3 C9 R13 S3 calls, forgetting, replays and replication in any order come to what the model says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 14 }), async (steps) => {
        const run = new Run(databases);
        for (const step of steps) await run.take(step);
        for (const to of ['a', 'b', 'a', 'b'] as const) await run.take({ kind: 'replicate', site: to });
        const expected = { dialed: run.expected('dialed'), received: run.expected('received') };
        for (const name of SITES) expect(await run.look(name)).toEqual(expected);
      }),
      // On a machine that is busy otherwise fewer of them must do.
      { numRuns: 200, interruptAfterTimeLimit: 25_000 },
    );
  });
});
