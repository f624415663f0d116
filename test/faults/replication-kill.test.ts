import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins, expectCopyRejectsApp, watchPosition } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type SiteDatabase,
  siteOf,
  startSystemPostgres,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { Callers, watchCopy } from './callers.ts';
import { type ReplicatorProcess, startReplicatorProcess } from './replicator-process.ts';
import { standing, type Verdict, WorkerLinks } from './worker-links.ts';
import {
  FollowedTransaction,
  followSynchronisation,
  type StreamStep,
  type SynchronisationStep,
} from './worker-steps.ts';

/** Last calls of site a before anything else happens. */
const ROWS = 2_000;
let origin: PostgresServer;
let subscriber: PostgresServer;
let links: WorkerLinks;
let a: SiteDatabase;
let b: SiteDatabase;
let worker: ReplicatorProcess;
let callers: Callers;

/** Site a on PostgreSQL 15, its subscriber on 18; between the worker and each of them a relay. */
beforeAll(async () => {
  [origin, subscriber] = await Promise.all([startSystemPostgres(), startPostgres()]);
  links = await WorkerLinks.open(subscriber, origin);
  a = await makeSite('a', ['b'], siteOf(origin));
  callers = new Callers(a.app);
  await query(
    a.app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT id, id FROM generate_series(1000001, ${1_000_000 + ROWS}) id`,
  );
});

afterAll(async () => {
  await links?.close();
  await Promise.all([origin?.remove(), subscriber?.remove()]);
});

beforeEach(() => callers.start());

afterEach(() => callers.stop());

const startWorker = (): Promise<ReplicatorProcess> =>
  startReplicatorProcess(
    { ...b, replicator: links.toOwn.url(b.replicator) },
    { a: links.toOrigin.url(a.replicator) },
  );

async function startAnother(): Promise<void> {
  await worker.stop();
  worker = await startWorker();
}

describe('streaming', () => {
  beforeAll(async () => {
    b = await makeSite('b', ['a'], siteOf(subscriber));
    worker = await startWorker();
    await expectCopiesEqualOrigins([a, b]);
    // Every change of the copy is written down by the transaction that makes it.
    await query(
      b.owner,
      `CREATE TABLE public.applied (id bigserial, terminal bigint, number bigint);
       CREATE FUNCTION public.note_applied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
       BEGIN INSERT INTO public.applied (terminal, number) VALUES (NEW.terminal_id, NEW.last_dialed_call::bigint); RETURN NULL; END $$;
       CREATE TRIGGER note_applied AFTER INSERT OR UPDATE ON lastcall.lastcalls_a FOR EACH ROW EXECUTE FUNCTION public.note_applied()`,
    );
  });
  afterAll(() => worker?.stop());

  const steps: [StreamStep, Verdict, { committed: boolean; acknowledged: boolean }][] = [
    ['the end of the transaction arrives', 'cut', { committed: false, acknowledged: false }],
    ['the batch reaches the own database', 'cut', { committed: false, acknowledged: false }],
    ['the batch, executed there, is committed', 'cut', { committed: false, acknowledged: false }],
    ['the worker hears of the commit', 'cut', { committed: true, acknowledged: false }],
    ['the acknowledgement reaches the origin', 'cut', { committed: true, acknowledged: false }],
    ['the acknowledgement reaches the origin', 'cut-after', { committed: true, acknowledged: true }],
  ];
  const fates = {
    killed: () => worker.kill(),
    'cut off from both databases': () => undefined,
  };
  type Fate = keyof typeof fates;
  const cases = (Object.keys(fates) as Fate[]).flatMap((fate) =>
    steps.map(([step, verdict, expected]) => {
      const when = verdict === 'cut' ? 'before' : 'after';
      return [fate, when, step, { verdict, expected }] as const;
    }),
  );

  test.each(cases)(
    'rules 4 and 5 %s %s %s: each transaction is applied once, in order',
    async (fate, _, step, { verdict, expected }) => {
      const position = watchPosition(b, 'a');
      const reader = watchCopy(b.app, ROWS);
      const told = fate === 'killed' ? 0 : (await worker.states()).length;
      const followed = new FollowedTransaction(callers.nextNumber());
      try {
        await links.strikeWhen(
          (database, message) => followed.step(database, message) === step,
          fates[fate],
          verdict,
        );
        const { position: stored, confirmed } = await standing(a, b);
        const end = followed.endLsn ?? 0n;
        expect({ committed: stored >= end, acknowledged: confirmed >= end }).toEqual(expected);
        expect(confirmed, 'rule 3 the slot never stands beyond the stored position').toBeLessThanOrEqual(
          stored,
        );
        if (fate === 'killed') expect(await worker.ended).toBe('SIGKILL');
      } finally {
        links.heal();
        if (fate === 'killed') await startAnother();
      }
      await callers.stop();
      await expectCopiesEqualOrigins([a, b]);
      await Promise.all([position.stop(), reader.stop()]);
      expect((await worker.states()).slice(told).filter((state) => state.startsWith('resyncing'))).toEqual(
        [],
      );
      expect(await query(b.owner, APPLIED_TWICE)).toEqual([]);
      expect(await query(b.owner, APPLIED_OLDER)).toEqual([]);
      await expectCopyRejectsApp(b, 'a');
    },
  );

  const APPLIED_TWICE =
    'SELECT terminal, number FROM public.applied GROUP BY terminal, number HAVING count(*) > 1';
  const APPLIED_OLDER = `SELECT * FROM (
    SELECT *, lag(number) OVER (PARTITION BY terminal ORDER BY id) AS before FROM public.applied) a WHERE number < before`;
});

describe('the first synchronisation', () => {
  let template: SiteDatabase;
  let made = 0;
  beforeAll(async () => {
    await subscriber.createDatabase('fresh');
    template = await makeSite('b', ['a'], (user, password) => subscriber.url('fresh', user, password));
  });

  /** A database of site b that nothing was ever copied to. */
  async function freshSubscriber(): Promise<SiteDatabase> {
    const name = `fresh_${++made}`;
    await query(subscriber.url(), `CREATE DATABASE ${name} TEMPLATE fresh`);
    const moved = (url: string): string => url.replace(/\/fresh$/, `/${name}`);
    return {
      site: 'b',
      owner: moved(template.owner),
      app: moved(template.app),
      replicator: moved(template.replicator),
      coordinator: moved(template.coordinator),
      peer: moved(template.peer),
    };
  }

  const steps: [SynchronisationStep, { synchronised: boolean }][] = [
    ['the worker hears of its slot', { synchronised: false }],
    ['half of the rows have come out of the origin', { synchronised: false }],
    ['half of the rows have gone into staging', { synchronised: false }],
    ['the swap reaches the own database', { synchronised: false }],
    ['the worker hears that the swap is committed', { synchronised: true }],
    ['streaming begins', { synchronised: true }],
  ];

  test.each(steps)(
    'rules 22 and 23 killed before %s: the next worker ends it, and no reader sees a part of it',
    async (step, { synchronised }) => {
      b = await freshSubscriber();
      const reader = watchCopy(b.app, ROWS);
      const stepOf = followSynchronisation(ROWS);
      const struck = links.strikeWhen(
        (database, message) => stepOf(database, message) === step,
        () => worker.kill(),
      );
      worker = await startWorker();
      try {
        await struck;
        expect(await worker.ended).toBe('SIGKILL');
        const { position, confirmed } = await standing(a, b);
        if (synchronised)
          expect(confirmed, 'rule 3 the slot never stands beyond the stored position').toBeLessThanOrEqual(
            position,
          );
        else expect(position, 'rule 2 no position while the copy is not there').toBe(0n);
        links.heal();
        await startAnother();
        await waitFor(async () => (await worker.states()).some((state) => state.startsWith('catching-up')), {
          what: 'the direction to stream',
          deadlineMs: 60_000,
        });
        await callers.stop();
        await expectCopiesEqualOrigins([a, b]);
        await reader.stop();
        const states = await worker.states();
        expect(states.filter((state) => state.startsWith('resyncing'))).toEqual(
          synchronised ? [] : ['resyncing never-synchronised'],
        );
      } finally {
        await worker.stop();
      }
    },
    60_000,
  );
});
