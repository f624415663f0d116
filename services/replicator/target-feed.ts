/**
 * One target: a database elsewhere that gets the freshest of chosen kinds. Reads this site's own WAL for the keys that
 * change, then their freshest rows, and saves the position in the transaction that writes them. Every attempt starts from
 * what stands in the two databases, so it may end anywhere.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { DirectionState } from '../../shared/domain/direction-state.ts';
import { decideStream } from '../../shared/domain/lineage.ts';
import { formatLsn, type Lsn, laterLsn, NO_LSN } from '../../shared/domain/lsn.ts';
import { seesAll } from '../../shared/domain/snapshot-sees.ts';
import { TARGETS_PUBLICATION, targetSlotName } from '../../shared/postgres/directions/targets.ts';
import type { Kind } from '../../shared/postgres/kinds/kind.ts';
import { viewPublisher } from '../../shared/postgres/replication/publisher-view.ts';
import { ReplicationStream } from '../../shared/postgres/replication/replication-stream.ts';
import { createSlot } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { quoteLiteral } from '../../shared/postgres/wire/quoting.ts';
import { ConnectionLost } from '../../shared/postgres/wire/server-error.ts';
import { type ChangedBatch, ChangedKeys } from '../../shared/targets/changed-keys.ts';
import {
  followingKeys,
  freshestRows,
  keyOfText,
  keyTextOf,
  targetTable,
} from '../../shared/targets/freshest-source.ts';
import { openSink } from '../../shared/targets/open-sink.ts';
import { inTransaction, reconcile } from '../../shared/targets/reconcile.ts';
import { type Sink, type TargetPosition, TargetTaken, TargetUnreachable } from '../../shared/targets/sink.ts';
import { classifyFault } from './fault.ts';
import type { ReplicatorLog, ReplicatorSettings } from './settings.ts';
import type { SitePrimary } from './site-primary.ts';

/** What a target is, as this site's catalog has it now. */
export interface TargetDefinition {
  readonly target: string;
  readonly url: string;
  readonly kinds: readonly Kind[];
  /** Kinds of the catalog, chosen or not: whose marks and removals may concern the chosen ones. */
  readonly allKinds: readonly Kind[];
  readonly sites: readonly string[];
  /** By kind: differs when its tables were replaced. */
  readonly sources: Readonly<Record<string, string>>;
  readonly resyncRequestedAt: string | null;
}

export interface TargetState {
  readonly target: string;
  state: DirectionState;
  reason: string | null;
  detail: string | null;
  lagMs: number | null;
  appliedLsn: Lsn;
  rowsReceived: number;
  rowsApplied: number;
}

export interface TargetFeedOptions {
  readonly site: string;
  readonly own: SitePrimary;
  readonly definition: TargetDefinition;
  readonly state: TargetState;
  readonly settings: ReplicatorSettings;
  readonly log: ReplicatorLog;
}

/** Keys waiting beyond which the stream is not read while a batch is written (rule 14). */
const PENDING_KEYS = 50_000;
const SEEN_AGAIN_MS = 2;
const IDLE_SAVE_MS = 1_000;
const CATCHING_UP_MS = 2_000;

interface Ends {
  readonly source: Connection;
  readonly walsender: Connection;
  readonly sink: Sink;
}

export class TargetFeed {
  readonly #options: TargetFeedOptions;
  #failures = 0;
  /** The operator's request that was carried out; the definition at hand still holds it. */
  #resynchronisedFor: string | null = null;

  constructor(options: TargetFeedOptions) {
    this.#options = options;
  }

  /** Runs until the signal. Never throws: what goes wrong is a state. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#attempt(signal);
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #attempt(signal: AbortSignal): Promise<number> {
    const { own, definition, settings, log } = this.#options;
    const open: { close(): Promise<void> }[] = [];
    try {
      const applicationName = `lastcall-target-${definition.target}`;
      const source = await own.connect({ applicationName });
      open.push(source);
      const walsender = await own.connect({ applicationName, replication: 'database' });
      open.push(walsender);
      const sink = await openSink(definition.url);
      open.push(sink);
      await this.#work({ source, walsender, sink }, signal);
      this.#failures = 0;
      return 0;
    } catch (cause) {
      if (signal.aborted) return 0;
      const fault = faultOf(cause);
      this.#become('stopped', fault.reason, (cause as Error).message);
      const delayMs = Math.min(fault.lastDelayMs, fault.firstDelayMs * 2 ** this.#failures++);
      log.warn(
        { target: definition.target, reason: fault.reason, delayMs, err: cause },
        'target stopped, will try again',
      );
      return Math.min(delayMs, settings.silenceLimitMs);
    } finally {
      await Promise.all(open.map((end) => end.close()));
    }
  }

  async #work(ends: Ends, signal: AbortSignal): Promise<void> {
    const { definition, site } = this.#options;
    const changed = await ends.sink.prepare(definition.kinds.map(targetTable));
    const position = await ends.sink.takeOver();
    if (position && position.site !== site)
      throw new TargetTaken(`site ${position.site} feeds this target: remove it there first`);
    const slot = targetSlotName(definition.target);
    const view = await viewPublisher(ends.walsender, slot, position, null);
    const decision = decideStream(position, view);
    if (decision.action === 'wait') throw new ConnectionLost('this site has no primary');
    if (
      position === null ||
      decision.action === 'resync' ||
      definition.resyncRequestedAt !== this.#resynchronisedFor
    ) {
      const reason = decision.action === 'resync' ? decision.reason : 'operator';
      await this.#resync(ends, position, reason, signal);
      return;
    }
    const stale = definition.kinds.filter(
      ({ kind }) => changed.includes(kind) || position.sources[kind] !== definition.sources[kind],
    );
    const at = { ...position, timeline: view.timeline, sources: definition.sources };
    if (stale.length > 0) {
      this.#become('resyncing', 'publication-changed', stale.map(({ kind }) => kind).join(', '));
      await this.#copy(ends, stale, null, signal);
      await inTransaction(ends.sink, () => ends.sink.savePosition(at));
    }
    await this.#stream(ends, at, signal);
  }

  /** The old position goes first (rule 2): whatever ends this, the next attempt begins it again. */
  async #resync(
    ends: Ends,
    before: TargetPosition | null,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { definition, site, settings, log, own } = this.#options;
    const { source, sink, walsender } = ends;
    this.#become('resyncing', reason);
    const slot = targetSlotName(definition.target);
    const view = await viewPublisher(walsender, slot, null, null);
    const next: TargetPosition = {
      site,
      systemIdentifier: view.systemIdentifier,
      timeline: view.timeline,
      slot,
      generation: (before?.generation ?? 0n) + 1n,
      lsn: NO_LSN,
      sources: {},
    };
    await inTransaction(sink, () => sink.savePosition(next));
    const locker = await own.connect({
      applicationName: `lastcall-target-${definition.target}`,
    });
    try {
      const { snapshotName, consistentPoint } = await createSlot(
        { walsender, locker },
        slot,
        settings.slotLockTimeoutMs,
      );
      const rows = await this.#copy(ends, definition.kinds, snapshotName, signal);
      await inTransaction(sink, () =>
        sink.savePosition({ ...next, lsn: consistentPoint, sources: definition.sources }),
      );
      log.info({ target: definition.target, reason, rows }, 'target resynchronised');
    } finally {
      await locker.close();
    }
    this.#resynchronisedFor = definition.resyncRequestedAt;
    await source.query(
      'UPDATE lastcall.targets SET resync_requested_at = NULL WHERE target = $1 AND resync_requested_at = $2::timestamptz',
      [definition.target, definition.resyncRequestedAt],
    );
  }

  async #copy(
    { source, sink }: Ends,
    kinds: readonly Kind[],
    snapshot: string | null,
    signal: AbortSignal,
  ): Promise<number> {
    await source.simple('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    if (snapshot !== null) await source.simple(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`);
    let rows = 0;
    for (const kind of kinds) {
      const found = await reconcile({ source, sink, kind, write: true, signal });
      rows += found.rows;
    }
    await source.simple('COMMIT');
    return rows;
  }

  /** Until the signal, or until something fails. */
  async #stream(ends: Ends, position: TargetPosition, signal: AbortSignal): Promise<void> {
    const { definition, state, settings } = this.#options;
    const changes = new ChangedKeys(definition.allKinds, new Set(definition.sites));
    const wake = new Wake();
    let serverLsn = position.lsn;
    const stream: ReplicationStream = new ReplicationStream({
      walsender: ends.walsender,
      slot: targetSlotName(definition.target),
      publication: TARGETS_PUBLICATION,
      from: position.lsn,
      sink: changes,
      statusIntervalMs: settings.silenceLimitMs / 4,
      silenceLimitMs: settings.silenceLimitMs,
      onKeepalive: (lsn) => {
        if (changes.isIdle) serverLsn = laterLsn(serverLsn, lsn);
      },
      onRead: () => {
        if (changes.size > PENDING_KEYS) stream.pause();
        wake.now();
      },
    });
    signal.addEventListener('abort', () => wake.now(), { once: true });
    await stream.start();
    stream.ended.then(
      () => wake.fail(new ConnectionLost('this site ended the stream')),
      (cause: Error) => wake.fail(cause),
    );
    this.#failures = 0;
    state.appliedLsn = position.lsn;
    this.#become('catching-up', null);
    let [at, savedAtMs] = [position, performance.now()];
    while (!signal.aborted) {
      await wake.wait(IDLE_SAVE_MS);
      const idleLsn = changes.isIdle ? serverLsn : NO_LSN;
      const batch = changes.take();
      stream.resume();
      if (changes.truncated) throw new Error('a table of this site was truncated');
      if (batch) {
        at = { ...at, lsn: batch.endLsn };
        await this.#apply(ends, batch, at);
      } else if (idleLsn > at.lsn && performance.now() - savedAtMs >= IDLE_SAVE_MS) {
        at = { ...at, lsn: idleLsn };
        const idle = at;
        await inTransaction(ends.sink, () => ends.sink.savePosition(idle));
      } else continue;
      savedAtMs = performance.now();
      state.appliedLsn = at.lsn;
      // Only now: it is durable there (rule 5).
      stream.acknowledge(at.lsn);
    }
    stream.stop();
    await Promise.race([stream.ended, delay(1_000)]).catch(() => undefined);
  }

  async #apply({ source, sink }: Ends, batch: ChangedBatch, at: TargetPosition): Promise<void> {
    const { definition, state, settings } = this.#options;
    await readWhatIsSeen(source, batch.xids);
    let applied = 0;
    await inTransaction(sink, async () => {
      for (const kind of definition.kinds) {
        const keys = await concernedKeys(source, kind, batch);
        if (keys.length === 0) continue;
        const table = targetTable(kind);
        const rows = await freshestRows(source, kind, keys);
        const found = new Set(
          rows.map((row) => keyTextOf(row.slice(0, table.keyLength).map((cell) => cell ?? ''))),
        );
        await sink.apply(table, rows);
        await sink.remove(
          table,
          keys.filter((key) => !found.has(key)).map((key) => keyOfText(kind, key)),
        );
        applied += keys.length;
      }
      await sink.savePosition(at);
    });
    await source.simple('COMMIT');
    state.rowsReceived += batch.rowsReceived;
    state.rowsApplied += applied;
    state.lagMs = Math.max(0, Date.now() - batch.committedAt / 1000);
    const isLate = state.lagMs > CATCHING_UP_MS + settings.heartbeatMs;
    this.#become(isLate ? 'catching-up' : 'streaming', null);
  }

  #become(next: DirectionState, reason: string | null, detail: string | null = null): void {
    const { state, log } = this.#options;
    if (state.state === next && state.reason === reason) return;
    Object.assign(state, { state: next, reason, detail });
    log.info(
      { target: state.target, state: next, reason, detail, lsn: formatLsn(state.appliedLsn) },
      'target',
    );
  }
}

/** Begins a transaction whose snapshot sees these: the log is streamed a moment before a commit is seen. */
async function readWhatIsSeen(source: Connection, xids: readonly number[]): Promise<void> {
  for (;;) {
    await source.simple('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [result] = await source.simple('SELECT pg_current_snapshot()::text AS snapshot');
    if (seesAll(result?.rows[0]?.['snapshot'] ?? '', xids)) return;
    await source.simple('ROLLBACK');
    await delay(SEEN_AGAIN_MS);
  }
}

async function concernedKeys(source: Connection, kind: Kind, { keys }: ChangedBatch): Promise<string[]> {
  const own = [...(keys.get(kind.kind) ?? [])].map((key) => keyTextOf(keyOfText(kind, key)));
  const followed = kind.follows ? [...(keys.get(kind.follows.kind) ?? [])] : [];
  return [...new Set([...own, ...(await followingKeys(source, kind, followed))])];
}

function faultOf(cause: unknown): { reason: string; firstDelayMs: number; lastDelayMs: number } {
  if (cause instanceof TargetUnreachable)
    return { reason: 'target-unreachable', firstDelayMs: 100, lastDelayMs: 5_000 };
  if (cause instanceof TargetTaken)
    return { reason: 'target-taken', firstDelayMs: 5_000, lastDelayMs: 30_000 };
  return classifyFault(cause);
}

/** Waits for the next read of the stream, or its failure. */
class Wake {
  #wake: () => void = () => undefined;
  #woken = false;
  #failure: Error | null = null;

  now(): void {
    this.#woken = true;
    this.#wake();
  }

  fail(cause: Error): void {
    this.#failure = cause;
    this.#wake();
  }

  async wait(atMostMs: number): Promise<void> {
    if (!this.#woken && !this.#failure) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, atMostMs);
      });
      clearTimeout(timer);
    }
    this.#woken = false;
    if (this.#failure) throw this.#failure;
  }
}
