import type { Source } from '../../shared/domain/choose-freshest.ts';
import { skewBeyond } from '../../shared/domain/last-call-record.ts';
import { GROUP_NAMES } from '../../shared/domain/last-calls.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Logger } from '../../shared/runtime/logger.ts';

export interface SkewAlarmOptions {
  readonly clock: Clock;
  readonly allowedSkewMs: number;
  readonly log: Logger;
  readonly onAlarm: (site: string) => void;
}

const LOG_EVERY_MS = 60_000;

/** R14: a date ahead of this clock beyond the allowed skew says that some site's clock is wrong. */
export class SkewAlarm {
  readonly #options: SkewAlarmOptions;
  readonly #loggedAtMs = new Map<string, number>();

  constructor(options: SkewAlarmOptions) {
    this.#options = options;
  }

  look(sources: readonly Source[]): void {
    const { allowedSkewMs, clock } = this.#options;
    const now = clock();
    for (const source of sources) {
      if ('unreadable' in source || source.row === null) continue;
      for (const group of GROUP_NAMES) {
        const at = source.row[group]?.at;
        if (at !== undefined && skewBeyond(at, now, allowedSkewMs) > 0)
          this.#raise(source.site, (at - now) / 1e6);
      }
    }
  }

  #raise(site: string, aheadSeconds: number): void {
    this.#options.onAlarm(site);
    const nowMs = performance.now();
    if (nowMs - (this.#loggedAtMs.get(site) ?? Number.NEGATIVE_INFINITY) < LOG_EVERY_MS) return;
    this.#loggedAtMs.set(site, nowMs);
    this.#options.log.warn({ from: site, aheadSeconds }, 'a call is dated in the future: check the clocks');
  }
}
