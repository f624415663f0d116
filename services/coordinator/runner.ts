import { setTimeout as delay } from 'node:timers/promises';
import { climbingLevel } from '../../shared/runtime/retry.ts';
import { attemptFailover, type FlowOptions } from './flow.ts';
import { describeFault, flowDelayMs } from './flow-fault.ts';
import type { FailoverRow } from './ledger.ts';
import { releaseFences } from './release-fences.ts';

export type FailoverEnd = 'done' | 'failed' | 'superseded';

export interface RunnerOptions extends FlowOptions {
  readonly onBegun?: (row: FailoverRow) => void;
  readonly onEnded?: (row: FailoverRow, end: FailoverEnd, error: string | null) => void;
}

/**
 * Works on the failovers of this site's database, one a site at a time, each until it has ended. Whoever asks for one
 * that is under way waits for the same work.
 */
export class FailoverRunner {
  readonly #options: RunnerOptions;
  readonly #working = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #wake = new AbortController();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Resolves when the failover has ended, by whomever; rejects only when this runner is stopped. */
  work(id: string): Promise<void> {
    const before = this.#working.get(id);
    if (before) return before;
    // News may be what another one waits for: a server is back, or changed again.
    this.#wake.abort();
    this.#wake = new AbortController();
    const working = this.#untilEnded(id).finally(() => this.#working.delete(id));
    this.#working.set(id, working);
    return working;
  }

  isWorkingOn(id: string): boolean {
    return this.#working.has(id);
  }

  /** Stops at the next boundary; what was begun goes on at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('coordinator stopping'));
    await Promise.allSettled(this.#working.values());
  }

  async #untilEnded(id: string): Promise<void> {
    const { ledger } = this.#options;
    for (let attempt = 1; ; attempt++) {
      this.#stopping.signal.throwIfAborted();
      let row: FailoverRow | null = null;
      try {
        row = await ledger.find(id);
        if (row?.state !== 'running') return;
        if (!(await this.#isNext(row))) {
          await delay(100, undefined, { signal: this.#stopping.signal });
          attempt = 0;
          continue;
        }
        if (attempt === 1) this.#options.onBegun?.(row);
        const end = await attemptFailover(row, this.#options, this.#stopping.signal);
        this.#options.onEnded?.(row, end, null);
        return;
      } catch (cause) {
        this.#stopping.signal.throwIfAborted();
        const delayMs = flowDelayMs(cause, attempt);
        if (delayMs === null) return await this.#fail(row, id, cause);
        await this.#wait(id, cause, attempt, delayMs);
      }
    }
  }

  /** The oldest request of a site goes first: the others wait for it, and mostly find their work done. */
  async #isNext(row: FailoverRow): Promise<boolean> {
    const running = await this.#options.ledger.running();
    return running.find(({ site }) => site === row.site)?.id === row.id;
  }

  async #wait(id: string, cause: unknown, attempt: number, delayMs: number): Promise<void> {
    const { ledger, log } = this.#options;
    const why = describeFault(cause);
    log[climbingLevel(delayMs)](
      { failover: id, attempt, delayMs: Math.round(delayMs), err: cause },
      'failover waits',
    );
    await ledger.note(id, why).catch(() => undefined);
    const signal = AbortSignal.any([this.#stopping.signal, this.#wake.signal]);
    await delay(delayMs, undefined, { signal }).catch(() => this.#stopping.signal.throwIfAborted());
  }

  async #fail(row: FailoverRow | null, id: string, cause: unknown): Promise<void> {
    const { ledger, log, sites } = this.#options;
    const why = describeFault(cause);
    log.error({ failover: id, err: cause }, 'failover failed');
    // The replicators go on with what is safe without salvage, and refuse the rest by themselves.
    await releaseFences(sites, id);
    await ledger.end(id, 'failed', why);
    if (row) this.#options.onEnded?.(row, 'failed', why);
  }
}
