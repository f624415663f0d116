import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

export interface OverloadOptions {
  readonly maxTransactions: number;
  readonly maxEventLoopDelayMs: number;
  readonly transactions: () => number;
}

const SAMPLE_MS = 250;
const RESOLUTION_MS = 10;

/** Says when new calls are better refused at once than served late: before retransmissions make it worse. */
export class Overload {
  readonly #options: OverloadOptions;
  #histogram: IntervalHistogram | undefined;
  #sampling: NodeJS.Timeout | undefined;
  #delayMs = 0;

  constructor(options: OverloadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#sampling);
    this.#histogram?.disable();
  }

  /** Why a new call should be refused now; null when it should not. */
  get reason(): 'transactions' | 'event-loop' | null {
    const { maxEventLoopDelayMs, maxTransactions, transactions } = this.#options;
    if (transactions() >= maxTransactions) return 'transactions';
    return this.#delayMs > maxEventLoopDelayMs ? 'event-loop' : null;
  }

  /** The 90th percentile of the last quarter second, without the sampling interval itself. */
  get eventLoopDelaySeconds(): number {
    return this.#delayMs / 1000;
  }

  #sample(): void {
    const histogram = this.#histogram;
    if (histogram === undefined || histogram.count === 0) return;
    this.#delayMs = Math.max(0, histogram.percentile(90) / 1e6 - RESOLUTION_MS);
    histogram.reset();
  }
}
