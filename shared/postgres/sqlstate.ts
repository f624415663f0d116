/** The SQLSTATEs that decide something here: PostgreSQL's by their condition names (appendix A), and the schema's own. */
export const SQLSTATE = {
  /** PgBouncer's answer to RESUME when nothing is paused. */
  PROTOCOL_VIOLATION: '08P01',
  /** Also a prepared statement whose result has changed since. */
  FEATURE_NOT_SUPPORTED: '0A000',
  UNIQUE_VIOLATION: '23505',
  INVALID_SQL_STATEMENT_NAME: '26000',
  INVALID_CATALOG_NAME: '3D000',
  INVALID_SCHEMA_NAME: '3F000',
  SERIALIZATION_FAILURE: '40001',
  DEADLOCK_DETECTED: '40P01',
  INSUFFICIENT_PRIVILEGE: '42501',
  /** Also a slot that does not exist. */
  UNDEFINED_OBJECT: '42704',
  /** Also a slot that exists. */
  DUPLICATE_OBJECT: '42710',
  UNDEFINED_FUNCTION: '42883',
  UNDEFINED_TABLE: '42P01',
  DUPLICATE_PREPARED_STATEMENT: '42P05',
  /** Also a slot whose WAL is gone. */
  OBJECT_NOT_IN_PREREQUISITE_STATE: '55000',
  /** A slot that somebody reads. */
  OBJECT_IN_USE: '55006',
  LOCK_NOT_AVAILABLE: '55P03',
  QUERY_CANCELED: '57014',
  INTERNAL_ERROR: 'XX000',

  /** Another worker has taken the direction over (rule 7). */
  OWNERSHIP_LOST: 'LC001',
  /** The stored position is of another generation or already further (S2). */
  POSITION_MOVED: 'LC002',
  /** Another holder has the lease now (rule 32). */
  LEASE_LOST: 'LC003',
  /** Fencing was asked for on the newest server (rule 28). */
  NOT_LEFT_BEHIND: 'LC004',
  /** The copy has a newer date than the row that came (I2). */
  COPY_IS_NEWER: 'LC005',
} as const;
