import type { CheckResult } from '../runtime/health.ts';
import type { Logger } from '../runtime/logger.ts';
import { climbingLevel } from '../runtime/retry.ts';
import type { Database, DatabaseOptions } from './database.ts';
import type { LastCallsWriter } from './last-calls/last-calls-writer.ts';

type OnDatabaseState = NonNullable<DatabaseOptions['onState']>;

/** What of a process depends on whether its site's database is there. */
export interface RecordingParts {
  readonly log: Logger;
  readonly journal: { setDraining(draining: boolean): void };
  readonly writer: Pick<LastCallsWriter, 'databaseFound' | 'databaseLost'>;
}

/** Logs one database as it is lost, looked for and found: the longer it lasts the louder. `of` is its site. */
export function logDatabase(log: Logger, of: string): OnDatabaseState {
  let lostAtMs = performance.now();
  return ({ attempt, ...state }) => {
    if (state.state === 'up') return log.info({ of, host: state.host }, 'PostgreSQL found');
    if (attempt === 0) lostAtMs = performance.now();
    const forMs = Math.round(performance.now() - lostAtMs);
    const { host, reason } = state;
    const level = attempt === 0 ? 'warn' : climbingLevel(forMs);
    log[level]({ of, host, reason, attempt, forMs }, 'PostgreSQL away, looking for its primary');
  };
}

/** A database found drains the journal and is told what was written lately (R12, S4); one lost does neither. */
export function followDatabase({ log, journal, writer }: RecordingParts, up: boolean): void {
  journal.setDraining(up);
  if (up)
    writer
      .databaseFound()
      // Lost again meanwhile: the next one found is asked the same.
      .catch((err: unknown) => log.warn({ err }, 'late records not written again yet'));
  else writer.databaseLost();
}

/** What readiness says of a site's database. A second server that takes writes is told as long as it does (rule 28). */
export function databaseHealth({ state, rivals }: Pick<Database, 'state' | 'rivals'>): CheckResult {
  if (state.state === 'down') return { state: 'down', reason: state.reason };
  return rivals.length > 0
    ? { state: 'degraded', reason: `two-primaries: ${rivals.join(', ')} takes writes as well` }
    : { state: 'up' };
}
