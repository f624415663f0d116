/**
 * One direction: this site's copies of one peer. Loops through attempts; an attempt takes the ownership, checks the
 * lineage, then streams or resynchronises. Every attempt starts from what stands in the two databases, so it may end anywhere.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { DirectionState } from '../../shared/domain/direction-state.ts';
import {
  decideStream,
  KEPT_VERDICTS,
  LINEAGE_BROKE,
  MAY_HAVE_LOST_ROWS,
  type ResyncReason,
  type StoredPosition,
} from '../../shared/domain/lineage.ts';
import { isBelow } from '../../shared/domain/server-identity.ts';
import { APPLY_SETTINGS } from '../../shared/postgres/replication/apply.ts';
import { copyKinds } from '../../shared/postgres/replication/copy-kinds.ts';
import {
  keepVerdict,
  moveToTimeline,
  readAppliedBeat,
  readPosition,
  takeOwnershipToApply,
} from '../../shared/postgres/replication/owner.ts';
import { LeftBehind } from '../../shared/postgres/replication/primary.ts';
import { slotName } from '../../shared/postgres/replication/publication.ts';
import { viewPublisher } from '../../shared/postgres/replication/publisher-view.ts';
import { RowsOnlyHere, resyncPeer } from '../../shared/postgres/replication/resync.ts';
import { storeKindsSql } from '../../shared/postgres/replication/stored-kinds.ts';
import { KindMismatch, SchemaMismatch } from '../../shared/postgres/replication/table-layout.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { Control, ControlWatch } from './control-watch.ts';
import type { Direction, DirectionReason } from './direction.ts';
import { classifyFault, OwnDatabaseFault } from './fault.ts';
import { logDecisions, type MatchedKinds, matchKinds, storeDecisions } from './match-kinds.ts';
import type { ReplicatorLog, ReplicatorSettings } from './settings.ts';
import type { SitePrimary } from './site-primary.ts';
import { type StreamedKind, streamDirection } from './stream-direction.ts';

export interface SubscriptionOptions {
  readonly direction: Direction;
  readonly own: SitePrimary;
  readonly peer: SitePrimary;
  readonly ownerName: string;
  readonly settings: ReplicatorSettings;
  readonly control: ControlWatch;
  readonly log: ReplicatorLog;
  /** Called on each change of state or reason. */
  readonly onState: () => void;
}

const STANDBY_LOOK_MS = 1_000;
/** How often a peer is asked whether it knows a kind by now. */
const WAITING_CHECK_MS = 5_000;

export class Subscription {
  readonly #options: SubscriptionOptions;
  /** When the lineage was first seen broken, for the coordinator's grace. */
  #brokenSinceMs: number | null = null;
  #failures = 0;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** Runs until the signal. Never throws: what goes wrong is a state. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Ends what is under way when operators or the coordinator want something else.
      const turn = new AbortController();
      const { control, direction, own, peer } = this.#options;
      const open: Connection[] = [];
      // Whoever is connected to the old one would be for ever: nothing there fails, or, being frozen, ever ends.
      const leave = (): void => {
        turn.abort();
        for (const connection of open) connection.destroy(new LeftBehind('another server was promoted'));
      };
      const listening = [
        control.onChange(direction.from, () => turn.abort()),
        own.onPromotion(leave),
        peer.onPromotion(leave),
      ];
      const end = AbortSignal.any([signal, turn.signal]);
      const waitMs = await this.#attempt(end, open);
      await delay(waitMs, undefined, { signal: end }).catch(() => undefined);
      for (const release of listening) release();
    }
    this.#become('stopped', 'shutdown');
  }

  /** Returns how long to wait before the next attempt. */
  async #attempt(signal: AbortSignal, open: Connection[]): Promise<number> {
    const { direction, control } = this.#options;
    const asked = control.get(direction.from);
    if (asked.fencedBy !== null) return this.#rest('fenced', `by ${asked.fencedBy}`);
    if (asked.paused) return this.#rest('paused', 'by an operator');
    try {
      const waitMs = await this.#work(asked, open, signal);
      this.#failures = 0;
      return waitMs;
    } catch (cause) {
      return signal.aborted ? 0 : this.#failed(cause as Error);
    } finally {
      await Promise.all(open.map((connection) => connection.close()));
    }
  }

  async #work(asked: Control, open: Connection[], signal: AbortSignal): Promise<number> {
    const { direction, ownerName, peer } = this.#options;
    const own = await this.#connectOwn(open, signal);
    const ownership = await takeOwnershipToApply(own, direction.from, ownerName);
    if (ownership === 'fenced') return this.#fencedMeanwhile();
    if (ownership === 'standby') {
      this.#become('stopped', 'standby', 'another replicator of this site works on it');
      return STANDBY_LOOK_MS;
    }
    const { epoch, position } = ownership;
    peer.learn(position);
    const walsender = await peer.connect(
      { applicationName: `lastcall-replicator-${direction.to}`, replication: 'database' },
      signal,
    );
    open.push(walsender);
    await this.#askPeerOfOwn(walsender);
    const beat = await readAppliedBeat(own, direction.from);
    const view = await viewPublisher(walsender, slotName(direction.to), position, beat);
    direction.timeline = view.timeline;
    if (asked.resyncRequestedAt !== null) {
      await walsender.close();
      return this.#resync(
        own,
        epoch,
        (asked.resyncReason as ResyncReason | null) ?? 'operator',
        asked.resyncRequestedAt,
        signal,
      );
    }
    const decision = decideStream(position, view);
    if (decision.action === 'wait') {
      this.#become('stopped', decision.reason);
      return 1_000;
    }
    if (decision.action === 'resync') {
      await walsender.close();
      if (position && KEPT_VERDICTS.has(decision.reason))
        await keepVerdict(own, direction.from, position.generation, decision.reason);
      const graceMs = this.#graceLeftMs(decision.reason);
      this.#become('needs-resync', decision.reason, decision.detail);
      return graceMs > 0 ? graceMs : this.#resync(own, epoch, decision.reason, null, signal);
    }
    this.#brokenSinceMs = null;
    if (position && position.timeline !== view.timeline) {
      await moveToTimeline(own, direction.from, position, view.timeline);
    }
    const matched = await this.#matchAndCopy(own, walsender, epoch, signal);
    if (!matched) return 0;
    // Ends the stream when the catalog of either end is no longer what it was.
    const changed = new AbortController();
    const watch = this.#watchDefinitions(matched, changed);
    try {
      await streamDirection({
        ...this.#options,
        own,
        walsender,
        silenceLimitMs: Math.max(this.#options.settings.silenceLimitMs, peer.patience.silenceMs),
        epoch,
        position: position as StoredPosition,
        kinds: matched.kinds,
        onStreaming: () => {
          this.#failures = 0;
          this.#become('catching-up', null);
        },
        signal: AbortSignal.any([signal, changed.signal]),
      });
    } catch (cause) {
      if (!(cause instanceof KindMismatch)) throw cause;
      await this.#holdBack(cause);
    } finally {
      changed.abort();
      await watch;
    }
    return 0;
  }

  /** `null` after kinds were copied: then everything is looked at again. */
  async #matchAndCopy(
    own: Connection,
    walsender: Connection,
    epoch: bigint,
    signal: AbortSignal,
  ): Promise<MatchedKinds | null> {
    const { direction, settings, log, peer } = this.#options;
    const matched = await matchKinds(own, walsender, direction.from);
    await storeDecisions(own, direction.from, matched.kinds);
    logDecisions(log, direction.from, matched.kinds);
    const anew = matched.kinds.filter(({ decision }) => decision.action === 'copy');
    if (anew.length === 0) return matched;
    await walsender.close();
    this.#become('resyncing', reasonOf(anew), anew.map(({ copy }) => copy.kind.kind).join(', '));
    const rows = await copyKinds({
      site: direction.to,
      peer: direction.from,
      connectPublisher: (options) => peer.connect(options),
      subscriber: own,
      tables: anew.map(({ copy }) => copy),
      epoch,
      slotLockTimeoutMs: settings.slotLockTimeoutMs,
      signal,
    });
    log.info({ from: direction.from, reason: direction.reason, rows }, 'kinds copied anew');
    return null;
  }

  /** Its changes from here on are missed until it can be applied again; that is written down before they are passed over. */
  async #holdBack({ kind, message }: KindMismatch): Promise<void> {
    const open: Connection[] = [];
    try {
      const own = await this.#connectOwn(open);
      const state = { kind, state: 'needs-resync', reason: 'schema-mismatch', detail: message } as const;
      await own.simple(storeKindsSql(this.#options.direction.from, [state]));
    } finally {
      await Promise.all(open.map((connection) => connection.close()));
    }
  }

  /**
   * Looks again every minute, sooner while a kind waits for the peer; what cannot be asked is asked at the next look, as
   * the stream itself will tell of a loss.
   */
  async #watchDefinitions({ kinds, fingerprint }: MatchedKinds, changed: AbortController): Promise<void> {
    const { own: ownSite, peer, direction, settings, log } = this.#options;
    const waits = kinds.some(({ decision }) => decision.action === 'hold');
    const everyMs = waits
      ? Math.min(WAITING_CHECK_MS, settings.definitionCheckMs)
      : settings.definitionCheckMs;
    const applicationName = `lastcall-definitions-${direction.to}`;
    for (;;) {
      await delay(everyMs, undefined, { signal: changed.signal }).catch(() => undefined);
      if (changed.signal.aborted) return;
      const open: Connection[] = [];
      // A server that was frozen meanwhile never answers.
      const stop = (): void => open.forEach((connection) => void connection.destroy());
      changed.signal.addEventListener('abort', stop, { once: true });
      try {
        for (const site of [ownSite, peer])
          open.push(await site.connect({ applicationName }, changed.signal));
        const [own, publisher] = open as [Connection, Connection];
        const now = await matchKinds(own, publisher, direction.from);
        if (now.fingerprint !== fingerprint) changed.abort();
      } catch (cause) {
        log.debug({ err: cause, from: direction.from }, 'definitions not compared');
      } finally {
        changed.signal.removeEventListener('abort', stop);
        await Promise.all(open.map((connection) => connection.close()));
      }
    }
  }

  /** The peer's copies of this site came from somewhere: it knows of promotions that nobody here has seen. */
  async #askPeerOfOwn(walsender: Connection): Promise<void> {
    const { own, direction } = this.#options;
    const held = own.current();
    own.learn(await readPosition(walsender, direction.to));
    if (held !== null && isBelow(held, own.current())) {
      const cause = new LeftBehind(
        `timeline ${held.timeline}, and site ${direction.from} has seen ${own.current()?.timeline}`,
      );
      throw new OwnDatabaseFault("this site's database was left behind", { cause });
    }
  }

  async #connectOwn(open: Connection[], signal?: AbortSignal): Promise<Connection> {
    try {
      const own = await this.#options.own.connect(
        { applicationName: `lastcall-apply-${this.#options.direction.from}`, settings: APPLY_SETTINGS },
        signal,
      );
      open.push(own);
      return own;
    } catch (cause) {
      throw new OwnDatabaseFault('this site has no writable database', { cause });
    }
  }

  #graceLeftMs(reason: ResyncReason): number {
    if (!LINEAGE_BROKE.has(reason)) return 0;
    this.#brokenSinceMs ??= performance.now();
    return this.#brokenSinceMs + this.#options.settings.coordinatorGraceMs - performance.now();
  }

  async #resync(
    own: Connection,
    epoch: bigint,
    reason: ResyncReason,
    requestedAt: string | null,
    signal: AbortSignal,
  ): Promise<number> {
    const { direction, settings, log } = this.#options;
    this.#become('resyncing', reason);
    const result = await resyncPeer({
      site: direction.to,
      peer: direction.from,
      connectSubscriber: (options) => this.#options.own.connect(options),
      connectPublisher: (options) => this.#options.peer.connect(options),
      epoch,
      slotLockTimeoutMs: settings.slotLockTimeoutMs,
      // Without a position nobody knows any more whether an earlier attempt, stopped half way, had a broken lineage.
      refuseLoss: MAY_HAVE_LOST_ROWS.has(reason) || reason === 'never-synchronised',
      keepEqual: reason !== 'operator',
      signal,
      onStep: (step, tookMs) =>
        log.info({ from: direction.from, step, tookMs: Math.round(tookMs) }, 'resync step done'),
    });
    await own.query(
      `UPDATE lastcall.replication_control SET resync_requested_at = NULL, resync_reason = NULL
       WHERE peer = $1 AND resync_requested_at = $2::timestamptz`,
      [direction.from, requestedAt],
    );
    log.info(
      { from: direction.from, reason, rows: result.rows, swapMs: Math.round(result.swapMs) },
      'resynchronised',
    );
    return 0;
  }

  /** The fence is newer than what the control watch had read; its change will wake this direction. */
  #fencedMeanwhile(): number {
    this.#become('stopped', 'fenced');
    return 1_000;
  }

  #rest(reason: DirectionReason, detail: string): number {
    this.#become('stopped', reason, detail);
    return 3_600_000;
  }

  #failed(cause: Error): number {
    const own = cause instanceof OwnDatabaseFault;
    if (cause instanceof RowsOnlyHere) {
      this.#become('needs-resync', 'rows-only-here', cause.message);
      // Each look copies the whole table again: ever more seldom, as only the salvage changes the answer.
      return Math.min(300_000, 10_000 * 2 ** this.#failures++);
    }
    const fault = classifyFault(own ? cause.cause : cause);
    const reason = own && fault.reason === 'peer-unreachable' ? 'database-unreachable' : fault.reason;
    this.#become(
      'stopped',
      reason,
      cause instanceof SchemaMismatch ? `${cause.message}: ${cause.remedy}` : cause.message,
    );
    const delayMs = Math.min(fault.lastDelayMs, fault.firstDelayMs * 2 ** this.#failures++);
    // One line when it begins, a louder one when it lasts.
    const level = delayMs >= fault.lastDelayMs && this.#failures > 3 ? 'error' : 'warn';
    this.#options.log[level](
      { from: this.#options.direction.from, reason, delayMs, err: cause },
      'direction stopped, will try again',
    );
    return delayMs * (0.8 + Math.random() * 0.4);
  }

  #become(state: DirectionState, reason: DirectionReason | null, detail: string | null = null): void {
    const { direction, onState } = this.#options;
    if (direction.state === state && direction.reason === reason) return;
    Object.assign(direction, { state, reason, detail });
    onState();
  }
}

const reasonOf = (kinds: readonly StreamedKind[]): DirectionReason => {
  const [first] = kinds;
  return first?.decision.action === 'copy' ? first.decision.reason : 'never-synchronised';
};
