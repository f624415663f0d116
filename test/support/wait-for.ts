import { setTimeout as delay } from 'node:timers/promises';

export type WaitOptions = {
  /** Said in the error: "waited 5000 ms for {what}". */
  what?: string;
  deadlineMs?: number;
  everyMs?: number;
};

type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>;

/**
 * Asks `condition` until it gives something truthy and returns that. A condition that throws counts as not yet;
 * its last error is the cause of the one thrown at the deadline (default 30 s).
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what = 'the condition', deadlineMs = 30_000, everyMs = 20 }: WaitOptions = {},
): Promise<Truthy<T>> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      last = await condition();
      if (last) return last as Truthy<T>;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) throw new Error(`waited ${deadlineMs} ms for ${what}`, { cause: last });
    await delay(everyMs);
  }
}
