/** What a failover does to a pair of sites: look and refuse early, fence, salvage, prove. */
import { type DirectionDecision, decideResync } from '../../shared/domain/decide-resync.ts';
import { isContained } from '../../shared/domain/lineage.ts';
import { parseLsn } from '../../shared/domain/lsn.ts';
import { salvageMarks, salvageRows, salvageTerminals } from '../../shared/postgres/repair/salvage.ts';
import { readPosition, takeOwnership } from '../../shared/postgres/replication/owner.ts';
import { slotName } from '../../shared/postgres/replication/publication.ts';
import { nextSlotName } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { FlowRefused, FlowWaits } from './flow-fault.ts';
import type { Observations } from './observe.ts';
import type { Pair } from './pair.ts';
import type { StepOutcome } from './steps.ts';

/** One direction of the pair as the check step left it, and as the report shows it. */
export interface Plan {
  readonly from: string;
  readonly to: string;
  readonly resync: string | null;
  /** Rows of `from` may stand only in the copy at `to`. */
  readonly salvage: boolean;
}

export const directionLabel = ({ from, to }: Pick<Plan, 'from' | 'to'>): string => `${from}>${to}`;

/** Rule 20: decides both directions and finds what would fail later, before anything is touched. */
export async function checkPair(pair: Pair, seen: Observations, everythingAnew: boolean): Promise<Plan[]> {
  const [site, peer] = [seen.get(pair.site)?.view, seen.get(pair.peer)?.view];
  if (!site || !peer) throw new FlowWaits(`sites ${pair.label} were not seen`);
  const plans = decideResync([site, peer]).map((decision) => toPlan(decision, pair, everythingAnew));
  for (const plan of plans) {
    if (plan.resync !== null) await checkEnds(pair, plan);
  }
  return plans;
}

function toPlan(decision: DirectionDecision, pair: Pair, everythingAnew: boolean): Plan {
  const { from, to } = decision;
  if (decision.action === 'wait') throw new FlowWaits(`site ${decision.site} is ${decision.reason}`);
  if (everythingAnew) return { from, to, resync: 'operator', salvage: from === pair.site };
  if (decision.action === 'stream') return { from, to, resync: null, salvage: false };
  return { from, to, resync: decision.reason, salvage: decision.salvage };
}

async function checkEnds(pair: Pair, { from, to }: Plan): Promise<void> {
  const publisher = await pair.connect(from);
  const [state] = await publisher.simple(`
    SELECT current_setting('transaction_read_only') AS read_only,
      (SELECT count(*) FROM pg_publication WHERE pubname = 'lastcall_${from}') AS publications,
      (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> '${nextSlotName(slotName(to))}') < current_setting('max_replication_slots')::integer AS slot_free`);
  const row = state?.rows[0];
  if (row?.['read_only'] === 'on') throw new FlowWaits(`site ${from} takes no writes`);
  if (row?.['publications'] !== '1')
    throw new FlowRefused(`publication lastcall_${from} is missing at site ${from}: run lastcall init there`);
  if (row?.['slot_free'] !== 't')
    throw new FlowRefused(`site ${from} has no replication slot left: raise max_replication_slots`);
  const subscriber = await pair.connect(to);
  const [copy] = await subscriber.simple(
    `SELECT current_setting('transaction_read_only') AS read_only, (SELECT count(*) FROM lastcall.sites WHERE site = '${from}' AND NOT own) AS copies`,
  );
  if (copy?.rows[0]?.['read_only'] === 'on') throw new FlowWaits(`site ${to} takes no writes`);
  if (copy?.rows[0]?.['copies'] !== '1')
    throw new FlowRefused(`site ${to} knows no site ${from}: run lastcall sites add there`);
}

export const fencedOwner = (failover: string): string => `failover:${failover}`;

/** Stops the replicators of what will be made anew: by word, and by a newer epoch for one that did not hear it (rule 7). */
export async function fence(pair: Pair, plans: readonly Plan[], failover: string): Promise<StepOutcome> {
  const held = plans.filter(({ resync }) => resync !== null);
  for (const { from, to } of held) {
    const subscriber = await pair.connect(to);
    await subscriber.query(
      `INSERT INTO lastcall.replication_control AS c (peer, fenced_by) VALUES ($1, $2)
       ON CONFLICT (peer) DO UPDATE SET fenced_by = excluded.fenced_by`,
      [from, failover],
    );
    await takeOwnership(subscriber, from, fencedOwner(failover));
  }
  return { skipped: held.length === 0, detail: { fenced: held.map(directionLabel) } };
}

/** Lets the replicator at `to` go on. */
export async function unfence(subscriber: Connection, from: string, failover: string): Promise<void> {
  await subscriber.query(
    `UPDATE lastcall.replication_control SET fenced_by = NULL WHERE peer = $1 AND fenced_by = $2`,
    [from, failover],
  );
}

/** Tombstones first, or a row could come back that was forgotten (rule 21, C9). */
export async function salvageMarksOf(pair: Pair, plan: Plan): Promise<number> {
  return salvageMarks(await salvageEnds(pair, plan));
}

/**
 * After a promotion most often: nothing is to be salvaged then. Asked when the direction is fenced, since until then more
 * may have been read, from an old primary that lives on.
 */
export async function hasNothingMore(pair: Pair, plan: Plan, seen: Observations): Promise<boolean> {
  const publisher = seen.get(plan.from)?.view;
  if (plan.resync !== 'timeline-changed' || !publisher?.reachable) return false;
  const subscriber = await pair.connect(plan.to);
  const position = await readPosition(subscriber, plan.from);
  const { rows } = await subscriber.query(
    `SELECT coalesce(max(copied_lsn), '0/0') AS lsn FROM lastcall.replication_kinds WHERE peer = $1`,
    [plan.from],
  );
  if (!position) return false;
  const beatFault = publisher.beatFaults?.get(plan.to);
  return isContained(position, parseLsn(rows[0]?.['lsn'] ?? '0/0'), { ...publisher, beatFault });
}

export async function salvageRowsOf(
  pair: Pair,
  plan: Plan,
  onPage: (rows: number) => Promise<void>,
): Promise<{ readonly rows: number; readonly terminals: number }> {
  const ends = await salvageEnds(pair, plan);
  const terminals = await salvageTerminals(ends);
  return { terminals, rows: await salvageRows(ends, onPage) };
}

async function salvageEnds(pair: Pair, { from, to }: Plan) {
  return { peer: await pair.connect(to), peerSite: to, target: await pair.connect(from), targetSite: from };
}
