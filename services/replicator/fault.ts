import { OldTransaction } from '../../shared/postgres/replication/old-transaction.ts';
import { LeftBehind } from '../../shared/postgres/replication/primary.ts';
import { SchemaMismatch } from '../../shared/postgres/replication/table-layout.ts';
import { SQLSTATE } from '../../shared/postgres/sqlstate.ts';
import { ConnectionLost, ProtocolRefused, ServerError } from '../../shared/postgres/wire/server-error.ts';
import type { DirectionReason } from './direction.ts';

/** A fault's class with its own delays (rule 19), doubling from the first to the last. */
export interface FaultClass {
  readonly reason: DirectionReason;
  readonly firstDelayMs: number;
  readonly lastDelayMs: number;
}

// Rule 19 allows up to 10 s. A knock on a closed door costs nothing, and a database that is back is equal again within 5 s.
const CONNECTION = { firstDelayMs: 50, lastDelayMs: 2_500 };
const SLOT = { firstDelayMs: 2_000, lastDelayMs: 2_000 };
const REFUSED = { firstDelayMs: 60_000, lastDelayMs: 60_000 };
const APPLY = { firstDelayMs: 1_000, lastDelayMs: 30_000 };

/** By SQLSTATE class (two characters) or SQLSTATE; errors of the peer and of this site's database read the same. */
const BY_SQLSTATE: Readonly<Record<string, FaultClass>> = {
  [SQLSTATE.OWNERSHIP_LOST]: { reason: 'ownership-lost', ...SLOT },
  [SQLSTATE.POSITION_MOVED]: { reason: 'position-moved', firstDelayMs: 100, lastDelayMs: 2_000 },
  [SQLSTATE.UNDEFINED_OBJECT]: { reason: 'slot-missing', ...SLOT },
  // Slot names are the whole cluster's: another database's site has a subscriber of the same name.
  [SQLSTATE.DUPLICATE_OBJECT]: { reason: 'slot-name-taken', ...REFUSED },
  [SQLSTATE.OBJECT_IN_USE]: { reason: 'slot-busy', firstDelayMs: 200, lastDelayMs: 2_000 },
  [SQLSTATE.OBJECT_NOT_IN_PREREQUISITE_STATE]: { reason: 'slot-lost', ...SLOT },
  '28': { reason: 'authentication-failed', ...REFUSED },
  [SQLSTATE.INVALID_CATALOG_NAME]: { reason: 'authentication-failed', ...REFUSED },
  '57': { reason: 'peer-unreachable', ...CONNECTION },
  '53': { reason: 'peer-unreachable', ...CONNECTION },
};

export function classifyFault(cause: unknown): FaultClass {
  if (cause instanceof OldTransaction)
    return { reason: 'old-transaction', firstDelayMs: 1_000, lastDelayMs: 30_000 };
  if (cause instanceof SchemaMismatch)
    return { reason: 'schema-mismatch', firstDelayMs: 5_000, lastDelayMs: 30_000 };
  if (cause instanceof ProtocolRefused) return { reason: 'protocol-refused', ...REFUSED };
  if (cause instanceof LeftBehind) return { reason: 'left-behind', ...CONNECTION };
  if (cause instanceof ConnectionLost) return { reason: 'peer-unreachable', ...CONNECTION };
  if (cause instanceof ServerError) {
    return (
      BY_SQLSTATE[cause.code] ?? BY_SQLSTATE[cause.code.slice(0, 2)] ?? { reason: 'apply-failed', ...APPLY }
    );
  }
  return { reason: 'apply-failed', ...APPLY };
}

/** The own database's faults have their own word, so that nobody searches at the peer. */
export class OwnDatabaseFault extends Error {
  override readonly name = 'OwnDatabaseFault';
}
