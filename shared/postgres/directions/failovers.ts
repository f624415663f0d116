import type { Failover, FailoverReport, FailoverStep } from '../../domain/failover.ts';
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';

const COLUMNS = `id, site, reason, requested_by AS "requestedBy", state, error, salvaged_rows AS "salvagedRows",
  salvaged_marks AS "salvagedMarks", requested_at AS "requestedAt", ended_at AS "endedAt"`;

/** Writes the request down. The same id twice is one request. */
export async function insertFailover(
  database: Queryable,
  request: Pick<Failover, 'id' | 'site' | 'reason' | 'requestedBy'>,
): Promise<void> {
  await database.query(
    `INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
    [request.id, request.site, request.reason, request.requestedBy],
  );
}

/** Newest first. */
export async function listFailovers(database: Queryable, limit = 50): Promise<Failover[]> {
  return database.query<Failover>(
    `SELECT ${COLUMNS} FROM lastcall.failovers ORDER BY requested_at DESC LIMIT $1`,
    [limit],
  );
}

/** The report of one failover, or null. `id` must be a UUID. */
export async function readFailover(database: Queryable, id: string): Promise<FailoverReport | null> {
  const [failover] = await database.query<Failover>(
    `SELECT ${COLUMNS} FROM lastcall.failovers WHERE id = $1`,
    [id],
  );
  if (!failover) return null;
  const steps = await database.query<FailoverStep>(
    `SELECT direction, step, state, attempts, started_at AS "startedAt", ended_at AS "endedAt", detail
     FROM lastcall.failover_steps WHERE failover = $1 ORDER BY started_at, position, direction`,
    [id],
  );
  return { ...failover, steps };
}

/** Dates as RFC 3339. */
export function failoverJson(failover: Failover) {
  return {
    ...failover,
    requestedAt: formatTimestamptz(failover.requestedAt),
    endedAt: dateText(failover.endedAt),
  };
}

export function failoverReportJson(report: FailoverReport) {
  const steps = report.steps.map((step) => ({
    ...step,
    startedAt: formatTimestamptz(step.startedAt),
    endedAt: dateText(step.endedAt),
  }));
  return { ...failoverJson(report), steps };
}

function dateText(at: Micros | null): string | null {
  return at === null ? null : formatTimestamptz(at);
}
