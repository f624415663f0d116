import { expect } from 'vitest';
import { withClient } from './postgres.ts';
import type { SiteDatabase } from './replication-pair.ts';
import { waitFor } from './wait-for.ts';

const KINDS = ['lastcalls', 'terminals', 'marks'] as const;

/** Count and digest of a table's whole content, microseconds included. */
async function digest(url: string, table: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query(
      `SELECT count(*) || ' rows ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') AS digest FROM lastcall.${table} t`,
    );
    return rows[0].digest;
  });
}

/** I1: waits until every copy equals its origin, in all directions, and says at the deadline which does not. */
export async function expectCopiesEqualOrigins(
  sites: readonly SiteDatabase[],
  deadlineMs = 60_000,
): Promise<void> {
  for (const origin of sites) {
    for (const subscriber of sites) {
      if (origin.site === subscriber.site) continue;
      for (const kind of KINDS) {
        const table = `${kind}_${origin.site}`;
        await waitFor(
          async () => (await digest(origin.owner, table)) === (await digest(subscriber.owner, table)),
          {
            what: `I1 ${table} at ${subscriber.site} to equal its origin`,
            deadlineMs,
            everyMs: 50,
          },
        );
      }
    }
  }
}

/** What the sites answer to readers: the same everywhere once I1 holds. */
export async function expectSameFreshest(sites: readonly SiteDatabase[]): Promise<void> {
  const answers = await Promise.all(
    sites.map(({ owner }) =>
      withClient(
        owner,
        async (client) =>
          (await client.query('SELECT * FROM lastcall.lastcalls_freshest ORDER BY terminal_id')).rows,
      ),
    ),
  );
  for (const answer of answers) expect(answer).toEqual(answers[0]);
}

/** I5: within one generation the applied LSN only grows. Call `stop` for the verdict. */
export function watchPosition(subscriber: SiteDatabase, peer: string): { stop(): Promise<void> } {
  let running = true;
  const seen: { generation: bigint; lsn: bigint }[] = [];
  const loop = (async () => {
    while (running) {
      await withClient(subscriber.owner, async (client) => {
        while (running) {
          const { rows } = await client.query(
            `SELECT generation, lsn - '0/0'::pg_lsn AS lsn FROM lastcall.replication_position WHERE peer = $1`,
            [peer],
          );
          if (rows[0]) seen.push({ generation: BigInt(rows[0].generation), lsn: BigInt(rows[0].lsn) });
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
      for (let i = 1; i < seen.length; i++) {
        const [before, after] = [seen[i - 1], seen[i]];
        if (before && after && before.generation === after.generation) {
          expect(after.lsn, 'I5 the applied LSN only grows').toBeGreaterThanOrEqual(before.lsn);
        }
      }
      expect(seen.length, 'positions seen').toBeGreaterThan(0);
    },
  };
}

/**
 * I6: reads `table` of the site without pause, and beside it, on a connection alike, the site's own table, which no
 * resynchronisation locks. Call `stop` for the fewest rows that a read saw and the longest wait, in milliseconds:
 * what a read took beyond the usual, and beyond what the machine's own stalls explain, as the own table's reader met them.
 */
export function watchReaders(
  { site, app }: Pick<SiteDatabase, 'site' | 'app'>,
  table: string,
): { stop(): Promise<{ fewestRows: number; longestWaitMs: number; reads: number }> } {
  const reader = readOnAndOn(app, table);
  const control = readOnAndOn(app, `lastcalls_${site}`);
  return {
    async stop() {
      const reads = await reader.stop();
      const others = await control.stop();
      return {
        reads: reads.length,
        fewestRows: Math.min(...reads.map(({ rows }) => rows)),
        longestWaitMs: longestBeyondUsual(reads) - STALLS_PER_READ * longestBeyondUsual(others),
      };
    },
  };
}

/** The view reads every site's table, the control one. */
const STALLS_PER_READ = 3;

interface Read {
  readonly tookMs: number;
  readonly rows: number;
}

function readOnAndOn(url: string, table: string): { stop(): Promise<Read[]> } {
  let running = true;
  const reads: Read[] = [];
  const loop = withClient(url, async (client) => {
    while (running) {
      const beganAtMs = performance.now();
      const { rows } = await client.query(`SELECT count(*)::int AS count FROM lastcall.${table}`);
      reads.push({ tookMs: performance.now() - beganAtMs, rows: rows[0].count });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  });
  loop.catch(() => undefined);
  return {
    async stop() {
      running = false;
      await loop;
      return reads;
    },
  };
}

function longestBeyondUsual(reads: readonly Read[]): number {
  const took = reads.map(({ tookMs }) => tookMs);
  return Math.max(...took) - median(took);
}

const median = (values: readonly number[]): number =>
  values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? 0;

/** I8: the application cannot write a copy. */
export async function expectCopyRejectsApp(subscriber: SiteDatabase, peer: string): Promise<void> {
  for (const kind of KINDS) {
    for (const statement of [
      `DELETE FROM lastcall.${kind}_${peer}`,
      `UPDATE lastcall.${kind}_${peer} SET ${kind === 'marks' ? 'key' : 'terminal_id'} = '1'`,
      `INSERT INTO lastcall.${kind}_${peer} (${kind === 'marks' ? 'key' : 'terminal_id'}) VALUES ('1')`,
    ]) {
      const attempt = withClient(subscriber.app, (client) => client.query(statement));
      await expect(attempt, statement).rejects.toMatchObject({ code: '42501' });
    }
  }
}
