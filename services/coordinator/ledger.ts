import type { Queryable } from '../../shared/postgres/database.ts';
import { FLOW_LEASE, LeaseLost } from './lease.ts';

export interface FailoverRequest {
  readonly id: string;
  readonly site: string;
  readonly reason: string;
  readonly requestedBy: string;
}

export interface FailoverRow extends FailoverRequest {
  readonly state: 'running' | 'done' | 'failed' | 'superseded';
  /** The lineage the flow works on; null before its first look. */
  readonly systemIdentifier: string | null;
  readonly timeline: number | null;
}

export type StepDetail = Readonly<Record<string, unknown>>;

export interface StepKey {
  readonly failover: string;
  /** `a>b`, `a<>b` or `a`. */
  readonly direction: string;
  readonly step: string;
  /** Its place in the report. */
  readonly position: number;
}

const COLUMNS =
  'id, site, reason, requested_by AS "requestedBy", state, system_identifier AS "systemIdentifier", timeline';

/** `$n` is the holder, or null: a request may be written down by anybody. */
const held = (n: number): string =>
  `($${n}::text IS NULL OR EXISTS (SELECT FROM lastcall.leases WHERE name = '${FLOW_LEASE}' AND holder = $${n} AND expires_at > clock_timestamp()))`;

/** What a flow has done, in the database of the site whose coordinator runs it. Every write may be repeated. */
export class Ledger {
  readonly #database: Queryable;
  readonly #holder: string | null;

  constructor(database: Queryable, holder: string | null = null) {
    this.#database = database;
    this.#holder = holder;
  }

  /** The same, but only while that holder's lease is live: later writes change nothing, and those of steps throw `LeaseLost`. */
  heldBy(holder: string): Ledger {
    return new Ledger(this.#database, holder);
  }

  /** The same id twice is one request. */
  async insert(request: FailoverRequest): Promise<void> {
    await this.#database.query(
      'INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING',
      [request.id, request.site, request.reason, request.requestedBy],
    );
  }

  async find(id: string): Promise<FailoverRow | null> {
    const [row] = await this.#database.query<FailoverRow>(
      `SELECT ${COLUMNS} FROM lastcall.failovers WHERE id = $1`,
      [id],
    );
    return row ?? null;
  }

  /** Oldest first. */
  async running(): Promise<FailoverRow[]> {
    return this.#database.query<FailoverRow>(
      `SELECT ${COLUMNS} FROM lastcall.failovers WHERE state = 'running' ORDER BY requested_at, id`,
    );
  }

  /** Begins the flow on a lineage; what was done for another one counts no more. */
  async beginLineage(id: string, systemIdentifier: string, timeline: number): Promise<void> {
    await this.#database.query(
      `WITH moved AS (UPDATE lastcall.failovers SET system_identifier = $2, timeline = $3 WHERE id = $1 AND ${held(4)} RETURNING id)
       DELETE FROM lastcall.failover_steps WHERE failover IN (SELECT id FROM moved)`,
      [id, systemIdentifier, timeline, this.#holder],
    );
  }

  async end(id: string, state: 'done' | 'failed' | 'superseded', error: string | null): Promise<void> {
    await this.#database.query(
      `UPDATE lastcall.failovers SET state = $2, error = $3, ended_at = clock_timestamp() WHERE id = $1 AND state = 'running' AND ${held(4)}`,
      [id, state, error, this.#holder],
    );
  }

  /**
   * Closes the other requests for the site that a finished flow has answered: those made before its barrier began, which
   * proved the lineage of that moment. Returns their ids.
   */
  async coverOthers(id: string, site: string): Promise<string[]> {
    const rows = await this.#database.query<{ id: string }>(
      `UPDATE lastcall.failovers SET state = 'superseded', error = 'covered by failover ' || $1::text, ended_at = clock_timestamp()
       WHERE site = $2 AND id <> $1::uuid AND state = 'running' AND reason NOT IN ('restored') AND timeline IS NULL AND ${held(3)}
         AND requested_at < (SELECT min(started_at) FROM lastcall.failover_steps WHERE failover = $1::uuid AND step = 'barrier')
       RETURNING id`,
      [id, site, this.#holder],
    );
    return rows.map((row) => row.id);
  }

  /** Why the flow waits; null when it goes on. */
  async note(id: string, error: string | null): Promise<void> {
    await this.#database.query(
      'UPDATE lastcall.failovers SET error = $2 WHERE id = $1 AND error IS DISTINCT FROM $2',
      [id, error],
    );
  }

  async addSalvaged(id: string, counts: { readonly rows?: number; readonly marks?: number }): Promise<void> {
    await this.#database.query(
      `UPDATE lastcall.failovers SET salvaged_rows = salvaged_rows + $2, salvaged_marks = salvaged_marks + $3 WHERE id = $1 AND ${held(4)}`,
      [id, counts.rows ?? 0, counts.marks ?? 0, this.#holder],
    );
  }

  async salvaged(id: string): Promise<{ readonly rows: number; readonly marks: number }> {
    const [row] = await this.#database.query<{ rows: number; marks: number }>(
      'SELECT salvaged_rows AS rows, salvaged_marks AS marks FROM lastcall.failovers WHERE id = $1',
      [id],
    );
    return row ?? { rows: 0, marks: 0 };
  }

  /** The detail of a step that has ended; null when it must run. */
  async ended(key: StepKey): Promise<StepDetail | null> {
    const [row] = await this.#database.query<{ detail: StepDetail }>(
      `SELECT detail FROM lastcall.failover_steps
       WHERE failover = $1 AND direction = $2 AND step = $3 AND state IN ('done', 'skipped')`,
      [key.failover, key.direction, key.step],
    );
    return row?.detail ?? null;
  }

  async begin(key: StepKey): Promise<void> {
    await this.#step(
      `INSERT INTO lastcall.failover_steps AS s (failover, direction, step, position) SELECT $2, $3, $4, $5 WHERE ${held(1)}
       ON CONFLICT (failover, direction, step) DO UPDATE SET state = 'running', attempts = s.attempts + 1,
         started_at = clock_timestamp(), ended_at = NULL RETURNING 1 AS kept`,
      [key.failover, key.direction, key.step, key.position],
    );
  }

  async finish(key: StepKey, state: 'done' | 'skipped' | 'failed', detail: StepDetail): Promise<void> {
    await this.#step(
      `INSERT INTO lastcall.failover_steps AS s (failover, direction, step, position, state, ended_at, detail)
         SELECT $2, $3, $4, $5, $6, clock_timestamp(), $7 WHERE ${held(1)}
       ON CONFLICT (failover, direction, step) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, detail = excluded.detail RETURNING 1 AS kept`,
      [key.failover, key.direction, key.step, key.position, state, JSON.stringify(detail)],
    );
  }

  async #step(statement: string, values: readonly unknown[]): Promise<void> {
    const rows = await this.#database.query(statement, [this.#holder, ...values]);
    if (rows.length === 0) throw new LeaseLost('another coordinator works on this failover now');
  }
}
