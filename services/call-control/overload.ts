import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks';
import { EVERYBODY, FEW, nextAdmittance } from '../../shared/domain/load-shedding.ts';
import { afterTaking, isTooLate, NO_QUEUE } from '../../shared/domain/standing-queue.ts';

export interface OverloadOptions {
  readonly maxCalls: number;
  readonly maxCallsPerSource: number;
  readonly maxEventLoopDelayMs: number;
  /** INVITEs without a final response: what calls hold. Other requests count for nothing, so no flood of them refuses a call. */
  readonly calls: { readonly total: number; from(address: string): number };
  /** Datagrams lost since the start. Asked for only while the process is busy. */
  readonly lost: () => number;
}

const SAMPLE_MS = 250;
const ROUND_MS = 100;
/** Below it nothing can be lost for want of time. */
const BUSY = 0.9;
const RESOLUTION_MS = 10;

/**
 * Says when new calls are better refused at once than served late: before retransmissions make it worse. A process that
 * never rests has a queue that it cannot see, in the sockets: it lets in fewer, registrations first.
 */
export class Overload {
  readonly #options: OverloadOptions;
  #histogram: IntervalHistogram | undefined;
  #sampling: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #shedding: NodeJS.Timeout | undefined;
  #worked: EventLoopUtilization = performance.eventLoopUtilization();
  #admittance = EVERYBODY;
  /** In this round. */
  #asked = { calls: 0, registrations: 0 };
  /** As of the last round, while the process is busy. */
  #lost: number | null = null;
  #queues = { calls: NO_QUEUE, registrations: NO_QUEUE };

  constructor(options: OverloadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS).unref();
    this.#shedding = setInterval(() => this.#adapt(), ROUND_MS).unref();
  }

  stop(): void {
    clearInterval(this.#sampling);
    clearInterval(this.#shedding);
    this.#histogram?.disable();
  }

  /** Why a new call from that address should be refused now; null when it should not. Whole sites and proxies have no quota. */
  reason(
    address: string,
    hasQuota: boolean,
  ): 'calls' | 'calls-of-source' | 'event-loop' | 'saturated' | null {
    const { calls, maxCalls, maxEventLoopDelayMs } = this.#options;
    // The call at hand counts already.
    if (calls.total > maxCalls) return 'calls';
    if (hasQuota && this.isOverQuota(address)) return 'calls-of-source';
    if (this.#delayMs > maxEventLoopDelayMs) return 'event-loop';
    return this.#letsIn('calls') ? null : 'saturated';
  }

  /** Whether a new registration should be refused now, for the phone to try again. */
  refusesRegistration(): boolean {
    return !this.#letsIn('registrations');
  }

  /** Whether a new one that came so long ago is better refused: the queue of its kind does not get shorter by itself. */
  isTooLate(kind: 'calls' | 'registrations', waitedMs: number): boolean {
    const nowMs = performance.now();
    this.#queues[kind] = afterTaking(this.#queues[kind], waitedMs, nowMs);
    return isTooLate(this.#queues[kind], waitedMs, nowMs, kind);
  }

  /** Of new calls and registrations, from 0 to 1. */
  get admittance(): { readonly calls: number; readonly registrations: number } {
    return this.#admittance;
  }

  /** Whether that address has more calls being set up than one address may: the only limit of a stranger's emergency calls. */
  isOverQuota(address: string): boolean {
    const { calls, maxCallsPerSource } = this.#options;
    return calls.from(address) > maxCallsPerSource;
  }

  /** The 90th percentile of the last quarter second, without the sampling interval itself. */
  get eventLoopDelaySeconds(): number {
    return this.#delayMs / 1000;
  }

  #letsIn(kind: 'calls' | 'registrations'): boolean {
    return ++this.#asked[kind] <= FEW || Math.random() < this.#admittance[kind];
  }

  #adapt(): void {
    const now = performance.eventLoopUtilization();
    const { utilization: utilisation } = performance.eventLoopUtilization(now, this.#worked);
    const lost = this.#lostSince(utilisation > BUSY);
    this.#admittance = nextAdmittance(this.#admittance, { utilisation, lost, ...this.#asked });
    this.#worked = now;
    this.#asked = { calls: 0, registrations: 0 };
  }

  /** Since the last round; 0 for the first one in which the process is busy. */
  #lostSince(isBusy: boolean): number {
    const before = this.#lost;
    this.#lost = isBusy ? this.#options.lost() : null;
    return this.#lost === null || before === null ? 0 : this.#lost - before;
  }

  #sample(): void {
    const histogram = this.#histogram;
    if (histogram === undefined || histogram.count === 0) return;
    this.#delayMs = Math.max(0, histogram.percentile(90) / 1e6 - RESOLUTION_MS);
    histogram.reset();
  }
}
