import { setTimeout as delay } from 'node:timers/promises';
import { LastcallError, type RetryClass } from '../domain/errors.ts';
import type { Logger } from './logger.ts';

interface DelayRange {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Replication rule 19: each class of error has its own delays. */
const DELAYS: Readonly<Record<RetryClass, DelayRange | null>> = {
  transient: { firstMs: 50, longestMs: 10_000 },
  'slot-missing': { firstMs: 2_000, longestMs: 2_000 },
  authentication: { firstMs: 60_000, longestMs: 60_000 },
  never: null,
};

/** Delay before attempt `attempt + 1`, with up to half of it taken off at random; null: retrying cannot help. */
export function retryDelayMs(
  retryClass: RetryClass,
  attempt: number,
  random: () => number = Math.random,
): number | null {
  const range = DELAYS[retryClass];
  if (range === null) return null;
  const delayMs = Math.min(range.longestMs, range.firstMs * 2 ** Math.min(attempt - 1, 20));
  return delayMs * (1 - random() / 2);
}

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /** What is tried, for the log: "connect to Redis". */
  readonly what: string;
  /** Class of an error; by default that of the catalogue, `transient` for any other. */
  readonly classify?: (error: unknown) => RetryClass;
}

const catalogueClass = (error: unknown): RetryClass =>
  error instanceof LastcallError ? error.retry : 'transient';

/** Repeats `work` until it succeeds. Rejects with the abort reason, or with an error whose class is `never`. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, log, what, classify = catalogueClass } = options;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      signal.throwIfAborted();
      const delayMs = retryDelayMs(classify(error), attempt);
      if (delayMs === null) throw error;
      log[climbingLevel(delayMs)](
        { err: error, what, attempt, delayMs: Math.round(delayMs) },
        'failed, trying again',
      );
      await delay(delayMs, undefined, { signal });
    }
  }
}

/** The longer it lasts the louder: a blink is debug, ten seconds apart is an error. */
export function climbingLevel(delayMs: number): 'debug' | 'info' | 'warn' | 'error' {
  if (delayMs < 200) return 'debug';
  if (delayMs < 1_000) return 'info';
  return delayMs < 5_000 ? 'warn' : 'error';
}
