/** Why a flow cannot go on, and how long it waits before it tries again (replication rule 19). */
import pg from 'pg';
import { LastcallError, type RetryClass } from '../../shared/domain/errors.ts';
import { translatePostgresError } from '../../shared/postgres/postgres-error.ts';
import { SQLSTATE } from '../../shared/postgres/sqlstate.ts';
import { ConnectionLost, ProtocolRefused, ServerError } from '../../shared/postgres/wire/server-error.ts';
import { retryDelayMs } from '../../shared/runtime/retry.ts';
import { LeaseLost, LeaseTaken } from './lease.ts';

/** Something outside must change first: a server is away, still in recovery, or a replicator does not run. */
export class FlowWaits extends Error {
  override readonly name = 'FlowWaits';
}

/** The tables still differ, or a precondition of rule 20 does not hold and only an operator can mend it. */
export class FlowRefused extends Error {
  override readonly name = 'FlowRefused';
}

/** By SQLSTATE class (two characters) or SQLSTATE. */
const BY_SQLSTATE: Readonly<Record<string, RetryClass>> = {
  '28': 'authentication',
  LC: 'slot-missing',
  [SQLSTATE.UNDEFINED_OBJECT]: 'slot-missing',
  [SQLSTATE.OBJECT_NOT_IN_PREREQUISITE_STATE]: 'slot-missing',
  [SQLSTATE.OBJECT_IN_USE]: 'slot-missing',
  [SQLSTATE.INSUFFICIENT_PRIVILEGE]: 'never',
  [SQLSTATE.UNDEFINED_TABLE]: 'never',
  [SQLSTATE.UNDEFINED_FUNCTION]: 'never',
  [SQLSTATE.INVALID_SCHEMA_NAME]: 'never',
};
const TRANSIENT = [FlowWaits, ConnectionLost, LeaseTaken, LeaseLost];
/** An error that nobody foresaw is tried again this often, then the flow ends with it. */
const UNFORESEEN_ATTEMPTS = 8;

function classifyFlowFault(cause: unknown, attempt: number): RetryClass {
  if (cause instanceof FlowRefused || cause instanceof ProtocolRefused) return 'never';
  if (TRANSIENT.some((kind) => cause instanceof kind)) return 'transient';
  if (cause instanceof ServerError || cause instanceof pg.DatabaseError) {
    const code = cause.code ?? '';
    return BY_SQLSTATE[code] ?? BY_SQLSTATE[code.slice(0, 2)] ?? 'transient';
  }
  const known = cause instanceof LastcallError ? cause : translatePostgresError(cause);
  if (known.code === 'INTERNAL') return attempt < UNFORESEEN_ATTEMPTS ? 'transient' : 'never';
  return known.retry;
}

/** Whoever holds the lease gives it back within seconds. */
const LEASE_RETRY_MS = 500;

/** Before the next attempt; null when another one cannot help. */
export function flowDelayMs(cause: unknown, attempt: number): number | null {
  if (cause instanceof LeaseTaken) return LEASE_RETRY_MS;
  return retryDelayMs(classifyFlowFault(cause, attempt), attempt);
}

export function describeFault(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const details = cause instanceof LastcallError ? Object.entries(cause.details) : [];
  const said = details.map(([name, value]) => `${name} ${String(value)}`).join(', ');
  return said ? `${cause.message} (${said})` : cause.message;
}
