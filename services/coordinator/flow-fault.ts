/** Why a flow cannot go on, and how long it waits before it tries again (replication rule 19). */
import pg from 'pg';
import { LastcallError, type RetryClass } from '../../shared/domain/errors.ts';
import { translatePostgresError } from '../../shared/postgres/postgres-error.ts';
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

const BY_SQLSTATE: readonly (readonly [RegExp, RetryClass])[] = [
  [/^28/, 'authentication'],
  [/^(42704|55000|55006|LC00.)$/, 'slot-missing'],
  [/^(42501|42P01|42883|3F000)$/, 'never'],
];
const TRANSIENT = [FlowWaits, ConnectionLost, LeaseTaken, LeaseLost];
/** An error that nobody foresaw is tried again this often, then the flow ends with it. */
const UNFORESEEN_ATTEMPTS = 8;

function classifyFlowFault(cause: unknown, attempt: number): RetryClass {
  if (cause instanceof FlowRefused || cause instanceof ProtocolRefused) return 'never';
  if (TRANSIENT.some((kind) => cause instanceof kind)) return 'transient';
  if (cause instanceof ServerError || cause instanceof pg.DatabaseError) {
    const code = cause.code ?? '';
    return BY_SQLSTATE.find(([pattern]) => pattern.test(code))?.[1] ?? 'transient';
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
