/**
 * One failover: gives the site back what only its peers hold, then makes new what must be made new, in both directions.
 *
 * Invariants: nothing is copied over before it was salvaged (rule 21); a step is written down when it has ended, and may
 * always run again (rule 26), so that killed anywhere the next attempt ends the same; what was done for one lineage of the
 * site's server counts for no other (rule 1).
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { SiteView } from '../../shared/domain/decide-resync.ts';
import { handOver, passBarrier } from './direction-steps.ts';
import { FlowWaits } from './flow-fault.ts';
import { type Lease, takeLease } from './lease.ts';
import type { FailoverRow, Ledger, StepDetail } from './ledger.ts';
import { type Observations, observe } from './observe.ts';
import { Pair } from './pair.ts';
import {
  checkPair,
  directionLabel,
  fence,
  hasNothingMore,
  type Plan,
  salvageMarksOf,
  salvageRowsOf,
  unfence,
} from './pair-steps.ts';
import { Resynchronisation } from './resynchronisation.ts';
import type { CoordinatorLog, CoordinatorSettings } from './settings.ts';
import type { SiteFloors } from './site-floors.ts';
import { SiteLink } from './site-link.ts';
import { type StepBoundary, Steps } from './steps.ts';

export interface FlowOptions {
  /** Every site's database as lastcall_coordinator, this one's included. */
  readonly sites: ReadonlyMap<string, string>;
  readonly ledger: Ledger;
  readonly settings: CoordinatorSettings;
  readonly log: CoordinatorLog;
  /** Of the sites' servers; the same ones in every attempt and in the watch. */
  readonly floors: SiteFloors;
  /** Compares both tables of both directions; throws while they differ. */
  readonly compare: (pair: Pair, signal: AbortSignal) => Promise<StepDetail>;
  /** Hears of every step as it begins and ends. */
  readonly onBoundary?: ((boundary: StepBoundary) => void | Promise<void>) | undefined;
}

interface Run extends FlowOptions {
  readonly row: FailoverRow;
  readonly steps: Steps;
  readonly seen: Observations;
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** How a coordinator signs what it found by itself. */
export const DETECTED_BY = 'coordinator ';

/** `lastcall heal`: a restored server may look like the one it was, so nothing of it is trusted. */
const EVERYTHING_ANEW = 'restored';

/** One attempt at a running flow. Resolves when it has ended; throws what it waits for or failed at. */
export async function attemptFailover(
  row: FailoverRow,
  options: FlowOptions,
  signal: AbortSignal,
): Promise<'done' | 'superseded'> {
  const links = [...options.sites].map(([site, url]) => new SiteLink(site, url, 'lastcall-coordinator-flow'));
  let lease: Lease | null = null;
  try {
    const found = await observe(links, options.settings.lookDeadlineMs, options.floors);
    viewOf(row.site, found);
    const worker = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
    lease = await takeLease(primaries(found), {
      failover: row.id,
      worker,
      leaseMs: options.settings.leaseMs,
    });
    const ledger = options.ledger.heldBy(lease.holder);
    const end = AbortSignal.any([signal, lease.signal]);
    // Looked at again: what another flow did before the lease was ours counts.
    const seen = await observe(links, options.settings.lookDeadlineMs, options.floors);
    const begun = await beginOrSupersede(row, seen, ledger);
    if (begun === 'superseded') return begun;
    const answered = alreadyAnswered(begun, seen);
    if (answered !== null) {
      await ledger.end(row.id, 'superseded', `covered by failover ${answered}`);
      return 'superseded';
    }
    const { stepTimeoutMs } = options.settings;
    const steps = new Steps({ ...options, ledger, failover: row.id, signal: end, stepTimeoutMs });
    await runPhases({ ...options, ledger, row: begun, steps, seen, lease, signal: end });
    await ledger.coverOthers(row.id, row.site);
    await ledger.end(row.id, 'done', null);
    return 'done';
  } catch (cause) {
    // What went wrong after that says nothing of the flow: it is somebody else's.
    lease?.assertHeld();
    throw cause;
  } finally {
    await lease?.release();
    await Promise.all(links.map((link) => link.close()));
  }
}

function viewOf(site: string, seen: Observations): Extract<SiteView, { reachable: true }> {
  const view = seen.get(site)?.view;
  if (!view) throw new FlowWaits(`site ${site} is not configured at this coordinator`);
  if (!view.reachable) throw new FlowWaits(`site ${site}: ${view.reason}`);
  return view;
}

/** A flow belongs to one lineage: when the site's server changed again, a newer request goes on, or this one afresh. */
async function beginOrSupersede(
  row: FailoverRow,
  seen: Observations,
  ledger: Ledger,
): Promise<FailoverRow | 'superseded'> {
  const { systemIdentifier, timeline } = viewOf(row.site, seen);
  if (row.systemIdentifier === systemIdentifier && row.timeline === timeline) return row;
  if (row.timeline !== null) {
    const newer = (await ledger.running()).find(({ site, id }) => site === row.site && id !== row.id);
    if (newer) {
      await ledger.end(row.id, 'superseded', `the server changed again; failover ${newer.id} goes on`);
      return 'superseded';
    }
  }
  await ledger.beginLineage(row.id, systemIdentifier, timeline);
  return { ...row, systemIdentifier, timeline };
}

/** Two coordinators that saw one promotion at the same moment made two requests: the first answers both. */
function alreadyAnswered(
  { id, site, reason, requestedBy, timeline }: FailoverRow,
  seen: Observations,
): string | null {
  if (!requestedBy.startsWith(DETECTED_BY)) return null;
  // A disk that was put back again is on the same timeline.
  if (reason === 'rolled-back') return null;
  for (const { bookkeeping } of seen.values()) {
    const same = bookkeeping?.recentSuccesses.find(
      (success) => success.site === site && success.timeline === timeline && success.id !== id,
    );
    if (same) return same.id;
  }
  return null;
}

function primaries(seen: Observations): Map<string, string> {
  return new Map(
    [...seen.values()].flatMap(({ site, primaryUrl }) => (primaryUrl === null ? [] : [[site, primaryUrl]])),
  );
}

/** A phase ends for every pair before the next begins, so that all marks stand before any row is brought back. */
type Phase = (run: Run, pair: Pair, plans: readonly Plan[]) => Promise<void>;
const PHASES: readonly Phase[] = [salvageMarks, salvageRows, synchronise, prove];

/** A pair that cannot go on holds up no other; the first fault is thrown when all have done what they can. */
async function runPhases(run: Run): Promise<void> {
  const site = run.seen.get(run.row.site);
  if (!site) throw new FlowWaits(`site ${run.row.site} was not seen`);
  const peers = [...run.seen.values()].filter((other) => other.site !== site.site);
  const pairs = peers.map((peer) => new Pair(site, peer, run.lease));
  const faults = new Map<Pair, unknown>();
  const plans = new Map<Pair, readonly Plan[]>();
  const each = async (work: (pair: Pair) => Promise<void>): Promise<void> => {
    for (const pair of pairs.filter((candidate) => !faults.has(candidate))) {
      await work(pair).catch((cause: unknown) => {
        run.signal.throwIfAborted();
        faults.set(pair, cause);
      });
    }
  };
  try {
    await each(async (pair) => void plans.set(pair, await checkAndFence(run, pair)));
    for (const phase of PHASES) await each((pair) => phase(run, pair, plans.get(pair) ?? []));
  } finally {
    await Promise.all(pairs.map((pair) => pair.close()));
  }
  for (const fault of faults.values()) throw fault;
}

async function checkAndFence(run: Run, pair: Pair): Promise<readonly Plan[]> {
  const detail = await run.steps.run(pair.label, 'check', async () => ({
    detail: { plans: await checkPair(pair, run.seen, run.row.reason === EVERYTHING_ANEW) },
  }));
  const plans = detail['plans'] as readonly Plan[];
  await run.steps.run(pair.label, 'fence', () => fence(pair, plans, run.row.id));
  return plans;
}

async function salvageMarks(run: Run, pair: Pair, plans: readonly Plan[]): Promise<void> {
  for (const plan of plans) {
    await run.steps.run(`${plan.to}>${plan.from}`, 'salvage-marks', async () => {
      if (!plan.salvage) return { skipped: true, detail: {} };
      const marks = await salvageMarksOf(pair, plan);
      await run.ledger.addSalvaged(run.row.id, { marks });
      return { detail: { marks } };
    });
  }
}

async function salvageRows(run: Run, pair: Pair, plans: readonly Plan[]): Promise<void> {
  for (const plan of plans) {
    await run.steps.run(`${plan.to}>${plan.from}`, 'salvage-rows', async () => {
      if (!plan.salvage) return { skipped: true, detail: {} };
      if (await hasNothingMore(pair, plan, run.seen))
        return { skipped: true, detail: { reason: 'contained' } };
      return {
        detail: {
          ...(await salvageRowsOf(pair, plan, (rows) => run.ledger.addSalvaged(run.row.id, { rows }))),
        },
      };
    });
  }
}

async function synchronise(run: Run, pair: Pair, plans: readonly Plan[]): Promise<void> {
  for (const plan of plans) {
    const direction = directionLabel(plan);
    if (plan.resync !== null) await resync(run, pair, plan);
    await run.steps.run(direction, 'stream', async (signal) => {
      if (plan.resync === null) {
        // For an earlier server of the site it was to be made anew: this one has the fence from that one's log.
        await unfence(await pair.connect(plan.to), plan.from, run.row.id);
        return { skipped: true, detail: {} };
      }
      await handOver(pair, plan, run.row.id, { timeoutMs: run.settings.barrierTimeoutMs, signal });
      return { detail: {} };
    });
  }
}

/** Three steps of the report that are one to the servers: the exported snapshot ends with its connection (rule 22). */
async function resync(run: Run, pair: Pair, plan: Plan): Promise<void> {
  const direction = directionLabel(plan);
  if (await run.steps.hasEnded(direction, 'swap')) return;
  const resyncing = new Resynchronisation(pair, plan, {
    failover: run.row.id,
    settings: run.settings,
    signal: run.signal,
  });
  try {
    await run.steps.again(direction, 'slot', async () => {
      await resyncing.start();
      await resyncing.reached('create-slot');
      return { detail: { reason: plan.resync } };
    });
    await run.steps.again(direction, 'copy', async () => {
      await resyncing.reached('copy');
      return { detail: {} };
    });
    await run.steps.again(direction, 'swap', async () => ({ detail: { ...(await resyncing.result()) } }));
  } finally {
    await resyncing.stop();
  }
}

async function prove(run: Run, pair: Pair, plans: readonly Plan[]): Promise<void> {
  for (const plan of plans) {
    await run.steps.run(directionLabel(plan), 'barrier', async (signal) => {
      await passBarrier(pair, plan, { timeoutMs: run.settings.barrierTimeoutMs, signal });
      return { detail: {} };
    });
  }
  await run.steps.run(pair.label, 'compare', async (signal) => ({ detail: await run.compare(pair, signal) }));
}
