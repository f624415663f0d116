/**
 * Between stream and copies: a batch is applied while the next fills (rule 13). While there is time for each change on
 * its own, the next does not wait for the answer to the one before.
 *
 * Invariant: acknowledged <= durable here <= applied <= received. An idle keepalive's LSN is stored before it is
 * acknowledged, so the slot never stands beyond the stored position and a slot that does proves a gap (rule 3).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Lsn, laterLsn } from '../../domain/lsn.ts';
import { SQLSTATE } from '../sqlstate.ts';
import { ServerError } from '../wire/server-error.ts';
import type { Applier, Preceding } from './apply.ts';
import type { Batch, Conflater } from './conflate.ts';
import { Pace } from './pace.ts';
import type { ReplicationStream } from './replication-stream.ts';

export interface PumpOptions {
  readonly conflater: Conflater;
  readonly applier: Pick<Applier, 'apply' | 'advance' | 'isPlain'>;
  readonly stream: Pick<ReplicationStream, 'pause' | 'resume' | 'acknowledge'>;
  readonly from: Lsn;
  /** Bytes of conflated rows above which the socket is not read while a batch is being applied (rule 14). */
  readonly pendingLimitBytes: number;
  /** At most so long between two durable commits, and so between two acknowledgements, while changes flow. */
  readonly durableEveryMs: number;
  /** The longest that a batch may fill on purpose while there is a backlog: larger batches conflate more and cost less a change. */
  readonly fillLimitMs: number;
  /** How old the newest commit was when the publisher sent it, by the publisher's own clock. */
  readonly backlogAgeMs: () => number;
  readonly onApplied: (batch: Batch, appliedInMs: number) => void;
  readonly onFailed: (cause: Error) => void;
}

/** A batch waits to fill for at most this part of the lag that there already is. */
const FILL_SHARE = 0.25;
/** Deadlock, serialization failure, lock timeout: another session was in the way, the batch is as good as before. */
const IN_THE_WAY = new Set<string>([
  SQLSTATE.DEADLOCK_DETECTED,
  SQLSTATE.SERIALIZATION_FAILURE,
  SQLSTATE.LOCK_NOT_AVAILABLE,
]);

export class BatchPump {
  readonly #options: PumpOptions;
  #applied: Lsn;
  #durableAtMs = 0;
  #undurable = false;
  #gapTimer: NodeJS.Timeout | null = null;
  readonly #pace = new Pace();
  /** What was begun last; ends after all before it. */
  #busy: Promise<void> | null = null;
  #underWay = 0;
  /** The batch sent last, when another may follow it at once. */
  #before: Preceding | null = null;
  #appliedAtMs = 0;
  #fillTimer: NodeJS.Timeout | null = null;
  #durableTimer: NodeJS.Timeout | null = null;
  #stopped = false;
  #failed = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#applied = options.from;
  }

  get applied(): Lsn {
    return this.#applied;
  }

  /** Call after each read of the stream. */
  onRead(): void {
    const { conflater, stream, pendingLimitBytes } = this.#options;
    const full = conflater.byteCount > pendingLimitBytes;
    // Inside a transaction there is nothing to cut, so reading must go on: its rows are bounded by the terminals.
    if (full && this.#busy && !conflater.inTransaction) stream.pause();
    if (!this.#mayFlush) return;
    if (full) this.#flushNow();
    else this.#schedule();
  }

  /** The server has nothing more for us up to here: store that, then acknowledge it (rule 8). */
  onKeepalive(serverLsn: Lsn): void {
    const idle = !this.#busy && !this.#options.conflater.inTransaction && !this.#options.conflater.hasPending;
    if (!idle || this.#stopped || serverLsn <= this.#applied) return;
    if (performance.now() - this.#durableAtMs < this.#options.durableEveryMs) return;
    this.#run(this.#makeDurable(serverLsn));
  }

  /** Applies what is complete, makes it durable, acknowledges, and takes nothing more. */
  async stop(): Promise<void> {
    this.abandon();
    await this.#busy;
    const batch = this.#failed ? null : this.#options.conflater.take();
    if (batch) await this.#apply(batch, true, null);
    else if (this.#undurable && !this.#failed) await this.#makeDurable(this.#applied);
  }

  /** Takes nothing more; what is pending will be streamed again. */
  abandon(): void {
    this.#stopped = true;
    this.#clearFill();
    if (this.#durableTimer) clearTimeout(this.#durableTimer);
    if (this.#gapTimer) clearTimeout(this.#gapTimer);
  }

  get #mayFlush(): boolean {
    return !this.#stopped && (this.#underWay === 0 || (this.#underWay === 1 && this.#before !== null));
  }

  #schedule(): void {
    if (!this.#mayFlush || this.#fillTimer || !this.#options.conflater.hasPending) return;
    const fillMs = Math.min(this.#options.fillLimitMs, this.#options.backlogAgeMs() * FILL_SHARE);
    if (fillMs < 1) this.#flushNow();
    else this.#fillTimer = setTimeout(() => this.#flushNow(), fillMs);
  }

  #clearFill(): void {
    if (this.#fillTimer) clearTimeout(this.#fillTimer);
    this.#fillTimer = null;
  }

  #flushNow(): void {
    this.#clearFill();
    const batch = this.#options.conflater.take();
    if (!batch) return;
    const before = this.#before;
    const isPressed = this.#leaveGap(batch.rowsReceived);
    const durable = performance.now() - this.#durableAtMs >= this.#options.durableEveryMs;
    const mayBeFollowed = !durable && !isPressed && this.#options.applier.isPlain(batch);
    const applied = this.#apply(batch, durable, before);
    this.#before = mayBeFollowed ? { endLsn: batch.endLsn, applied } : null;
    this.#run(applied);
  }

  /**
   * Leaves the socket unread until the next batch is due: waking up for each change would cost more than applying it.
   * False when there is time for each change on its own.
   */
  #leaveGap(rows: number): boolean {
    const { stream } = this.#options;
    const gapMs = this.#pace.gapAfter(rows, performance.now());
    if (this.#gapTimer) clearTimeout(this.#gapTimer);
    this.#gapTimer = null;
    if (gapMs < 1) {
      stream.resume();
      return false;
    }
    stream.pause();
    this.#gapTimer = setTimeout(() => stream.resume(), gapMs);
    return true;
  }

  #run(step: Promise<void>): void {
    this.#underWay++;
    const ended = step
      .catch((cause: Error) => {
        if (!this.#failed) this.#options.onFailed(cause);
        this.#failed = this.#stopped = true;
      })
      .finally(() => {
        this.#underWay--;
        if (this.#underWay === 0) this.#busy = this.#before = null;
        this.#schedule();
        if (!this.#busy && this.#undurable) this.#scheduleDurable();
      });
    this.#busy = ended;
  }

  async #apply(batch: Batch, durable: boolean, before: Preceding | null): Promise<void> {
    const sentAtMs = performance.now();
    for (let preceding = before; !(await this.#tryApply(batch, durable, preceding)); preceding = null)
      await delay(10 + Math.random() * 40);
    this.#applied = batch.endLsn;
    if (durable) this.#becameDurable(batch.endLsn);
    else this.#undurable = true;
    const nowMs = performance.now();
    this.#pace.took(nowMs - Math.max(sentAtMs, this.#appliedAtMs));
    this.#appliedAtMs = nowMs;
    this.#options.onApplied(batch, nowMs - sentAtMs);
    this.#options.conflater.recycle(batch);
  }

  /** `false` when another session was in the way, until it no longer is or the pump is stopped. */
  async #tryApply(batch: Batch, durable: boolean, before: Preceding | null): Promise<boolean> {
    try {
      await this.#options.applier.apply(batch, durable, before);
      return true;
    } catch (cause) {
      if (cause instanceof ServerError && IN_THE_WAY.has(cause.code) && !this.#stopped) return false;
      throw cause;
    }
  }

  /** The last batches before a pause were committed without waiting for the disk: one durable commit covers them. */
  #scheduleDurable(): void {
    if (this.#durableTimer || this.#stopped) return;
    this.#durableTimer = setTimeout(() => {
      this.#durableTimer = null;
      if (!this.#busy && this.#undurable && !this.#stopped) this.#run(this.#makeDurable(this.#applied));
    }, this.#options.durableEveryMs);
  }

  async #makeDurable(at: Lsn): Promise<void> {
    await this.#options.applier.advance(at);
    this.#becameDurable(at);
  }

  #becameDurable(at: Lsn): void {
    this.#applied = laterLsn(this.#applied, at);
    this.#durableAtMs = performance.now();
    this.#undurable = false;
    this.#options.stream.acknowledge(this.#applied);
  }
}
