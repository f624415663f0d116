import type { Metrics } from '../../shared/runtime/metrics.ts';

/** What was dialed: a number, a star code, an emergency number. */
export type CallCode = 'none' | 'redial' | 'return' | 'erase' | 'trace' | 'emergency';
/** How it ended: as the callee's site sees it, or why this site refused it (the words of the star codes' refusals). */
export type CallResult = string;

const LOOKUP_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** What call-control counts. */
export class CallMetrics {
  readonly #calls;
  readonly #lookup;
  readonly #records;
  readonly #registrations;
  readonly #shed;
  readonly #failedLogins;
  readonly #skewAlarms;

  constructor(metrics: Metrics) {
    this.#calls = metrics.counter('calls_total', 'Calls by star code and result', ['code', 'result']);
    this.#lookup = metrics.histogram(
      'lookup_seconds',
      'Time from a star code to its number, as added to the post-dial delay',
      LOOKUP_BUCKETS,
      ['code'],
    );
    this.#records = metrics.counter('records_total', 'Calls written down, by group and where they are kept', [
      'group',
      'kept',
    ]);
    this.#registrations = metrics.counter('registrations_total', 'REGISTER requests by result', ['result']);
    this.#shed = metrics.counter('shed_total', 'New requests answered 503, by reason', ['reason']);
    this.#failedLogins = metrics.counter('digest_failures_total', 'Credentials refused, by reason', [
      'reason',
    ]);
    this.#skewAlarms = metrics.counter(
      'clock_skew_alarms_total',
      'Dates ahead of this clock beyond the allowed skew',
      ['source'],
    );
  }

  call(code: CallCode, result: CallResult): void {
    this.#calls.inc({ code, result });
  }

  lookup(code: CallCode, seconds: number): void {
    this.#lookup.observe({ code }, seconds);
  }

  record(group: string, kept: string): void {
    this.#records.inc({ group, kept });
  }

  registration(result: string): void {
    this.#registrations.inc({ result });
  }

  shed(reason: string): void {
    this.#shed.inc({ reason });
  }

  failedLogin(reason: string): void {
    this.#failedLogins.inc({ reason });
  }

  skewAlarm(source: string): void {
    this.#skewAlarms.inc({ source });
  }
}
