import type { Connection } from '../wire/connection.ts';

/** A transaction that has written and not ended: it pins every slot's WAL, and no new slot can be made before its end. */
export interface OpenTransaction {
  /** Of the session; null for a prepared transaction, which has none. */
  readonly pid: number | null;
  /** The session's `application_name`, or the prepared transaction's identifier. */
  readonly name: string;
  /** Null when this role may not see it. */
  readonly ageSeconds: number | null;
}

/** The oldest open transaction of the server, by its transaction id; null when none has written. */
export async function oldestTransaction(connection: Connection): Promise<OpenTransaction | null> {
  const [result] = await connection.simple(`
    SELECT pid, application_name AS name, extract(epoch FROM clock_timestamp() - xact_start)::bigint AS age_seconds,
        age(backend_xid) AS xids FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    UNION ALL SELECT NULL, gid, extract(epoch FROM clock_timestamp() - prepared)::bigint, age(transaction) FROM pg_prepared_xacts
    ORDER BY xids DESC LIMIT 1`);
  const row = result?.rows[0];
  if (!row) return null;
  return {
    pid: row['pid'] == null ? null : Number(row['pid']),
    name: row['name'] ?? '',
    ageSeconds: row['age_seconds'] == null ? null : Number(row['age_seconds']),
  };
}

/** Who it is, and what the operator can do. */
export function describeTransaction({ pid, name, ageSeconds }: OpenTransaction): string {
  const age = ageSeconds === null ? '' : `, open for ${ageSeconds} s`;
  if (pid === null) {
    return `prepared transaction ${name}${age}: COMMIT PREPARED or ROLLBACK PREPARED '${name.replaceAll("'", "''")}' ends it`;
  }
  return `session pid ${pid}, application_name ${name || '(none)'}${age}: SELECT pg_terminate_backend(${pid}) ends it`;
}

/** No slot can be made before it has ended; what stood before stands still. */
export class OldTransaction extends Error {
  override readonly name = 'OldTransaction';

  constructor(transaction: OpenTransaction | null, options?: ErrorOptions) {
    const who = transaction ? describeTransaction(transaction) : 'a transaction that has ended meanwhile';
    super(`no replication slot can be made behind an open transaction: ${who}`, options);
  }
}
