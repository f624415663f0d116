import { describeFault } from './flow-fault.ts';
import type { Ledger, StepDetail, StepKey } from './ledger.ts';
import type { CoordinatorLog } from './settings.ts';

export type StepName =
  | 'check'
  | 'fence'
  | 'salvage-marks'
  | 'salvage-rows'
  | 'slot'
  | 'copy'
  | 'swap'
  | 'stream'
  | 'barrier'
  | 'compare';

/** A place where a flow can be stopped: `unrecorded` is after the work and before it is written down. */
export interface StepBoundary {
  readonly failover: string;
  readonly direction: string;
  readonly step: StepName;
  readonly at: 'begun' | 'unrecorded' | 'recorded';
  readonly tookMs: number;
}

export type StepOutcome = { readonly skipped?: boolean; readonly detail: StepDetail };

type StepWork = (signal: AbortSignal) => Promise<StepOutcome>;

export interface StepsOptions {
  readonly failover: string;
  readonly ledger: Ledger;
  readonly log: CoordinatorLog;
  readonly signal: AbortSignal;
  readonly stepTimeoutMs: number;
  readonly onBoundary?: ((boundary: StepBoundary) => void | Promise<void>) | undefined;
}

/** Runs steps once each: what has ended is not done again, what was stopped is done from its beginning. */
export class Steps {
  readonly #options: StepsOptions;
  #position = 0;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** Steps are numbered in the order they are named, which is the same in every attempt. */
  async run(direction: string, step: StepName, work: StepWork): Promise<StepDetail> {
    const ended = await this.#options.ledger.ended(this.#key(direction, step, this.#position));
    if (!ended) return this.again(direction, step, work);
    this.#position++;
    return ended;
  }

  async hasEnded(direction: string, step: StepName): Promise<boolean> {
    return (await this.#options.ledger.ended(this.#key(direction, step, 0))) !== null;
  }

  /** Runs the step even when it had ended before. */
  async again(direction: string, step: StepName, work: StepWork): Promise<StepDetail> {
    const { failover, ledger, signal, log } = this.#options;
    const key = this.#key(direction, step, this.#position++);
    signal.throwIfAborted();
    const startedAt = performance.now();
    await ledger.begin(key);
    await this.#reach(direction, step, 'begun', 0);
    try {
      const { skipped = false, detail } = await this.#withinTime(work);
      const tookMs = Math.round(performance.now() - startedAt);
      await this.#reach(direction, step, 'unrecorded', tookMs);
      await ledger.finish(key, skipped ? 'skipped' : 'done', detail);
      await this.#reach(direction, step, 'recorded', tookMs);
      log.info({ failover, direction, step, skipped, tookMs, ...detail }, 'failover step ended');
      return detail;
    } catch (cause) {
      if (!(await ledger.ended(key).catch(() => null))) {
        await ledger.finish(key, 'failed', { error: describeFault(cause) }).catch(() => undefined);
      }
      throw cause;
    }
  }

  #key(direction: string, step: StepName, position: number): StepKey {
    return { failover: this.#options.failover, direction, step, position };
  }

  async #withinTime(work: StepWork): Promise<StepOutcome> {
    const { signal, stepTimeoutMs } = this.#options;
    const end = AbortSignal.any([signal, AbortSignal.timeout(stepTimeoutMs)]);
    let stop: () => void = () => undefined;
    const ended = new Promise<never>((_, reject) => {
      stop = () => reject(end.reason);
      end.addEventListener('abort', stop);
    });
    try {
      return await Promise.race([work(end), ended]);
    } finally {
      end.removeEventListener('abort', stop);
    }
  }

  async #reach(direction: string, step: StepName, at: StepBoundary['at'], tookMs: number): Promise<void> {
    await this.#options.onBoundary?.({ failover: this.#options.failover, direction, step, at, tookMs });
  }
}
