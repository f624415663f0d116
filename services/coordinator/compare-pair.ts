import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../shared/postgres/replication/connection.ts';
import { FlowWaits } from './flow-fault.ts';
import type { StepDetail } from './ledger.ts';
import type { Pair } from './pair.ts';

const KINDS = ['lastcalls', 'terminals', 'forgotten'] as const;
const TRIES = 40;

/** Counts and checksums of every table of both directions, until each was seen equal once (rule 27). */
export async function comparePair(pair: Pair, signal: AbortSignal): Promise<StepDetail> {
  const detail: Record<string, number> = {};
  for (const origin of [pair.site, pair.peer]) {
    for (const kind of KINDS)
      detail[`${kind}_${origin}`] = await untilEqual(pair, `${kind}_${origin}`, signal);
  }
  return { rows: detail };
}

async function untilEqual(pair: Pair, table: string, signal: AbortSignal): Promise<number> {
  const ends = await Promise.all([pair.connect(pair.site), pair.connect(pair.peer)]);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const [here, there] = await Promise.all(ends.map((end) => digest(end, table)));
    if (here?.digest === there?.digest) return here?.rows ?? 0;
    await delay(100, undefined, { signal });
  }
  throw new FlowWaits(`table ${table} differs between ${pair.site} and ${pair.peer}`);
}

async function digest(
  connection: Connection,
  table: string,
): Promise<{ readonly rows: number; readonly digest: string }> {
  const [result] = await connection.simple(
    `SELECT count(*) AS rows, count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS digest FROM lastcall.${table} t`,
  );
  return { rows: Number(result?.rows[0]?.['rows'] ?? 0), digest: result?.rows[0]?.['digest'] ?? '' };
}
