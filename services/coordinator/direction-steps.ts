/** One direction handed back to its replicator and proved to run. */
import { setTimeout as delay } from 'node:timers/promises';
import { FlowWaits } from './flow-fault.ts';
import type { Pair } from './pair.ts';
import { fencedOwner, type Plan, unfence } from './pair-steps.ts';

const POLL_MS = 25;

/** Lifts the fence and waits until a replicator has the direction. */
export async function handOver(
  pair: Pair,
  plan: Plan,
  failover: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const subscriber = await pair.connect(plan.to);
  await unfence(subscriber, plan.from, failover);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { rows } = await subscriber.query('SELECT owner FROM lastcall.replication_owner WHERE peer = $1', [
      plan.from,
    ]);
    if (rows[0]?.['owner'] !== fencedOwner(failover)) return;
    if (performance.now() > deadline) {
      throw new FlowWaits(
        `no replicator at site ${plan.to} has taken the direction from ${plan.from}: does it run?`,
      );
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

/** A heartbeat written now at `from` and seen at `to`: everything before it is there as well (rule 27). */
export async function passBarrier(
  pair: Pair,
  { from, to }: Pick<Plan, 'from' | 'to'>,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const publisher = await pair.connect(from);
  const beaten = await publisher.query('SELECT lastcall.beat()::text AS beat');
  const beat = beaten.rows[0]?.['beat'] ?? null;
  const subscriber = await pair.connect(to);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { rows } = await subscriber.query(
      `SELECT beat_at >= $1::timestamptz AS seen FROM lastcall.heartbeat_${from}`,
      [beat],
    );
    if (rows[0]?.['seen'] === 't') return;
    if (performance.now() > deadline) {
      throw new FlowWaits(`a heartbeat of site ${from} was not seen at site ${to} within ${timeoutMs} ms`);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}
