/** Rule 36: what each kind of a direction needs, found out and written down before its changes are streamed or passed over. */
import { decideKinds, type KindDecision } from '../../shared/domain/decide-kinds.ts';
import { NO_LSN } from '../../shared/domain/lsn.ts';
import { readCopyTables } from '../../shared/postgres/replication/copy-catalog.ts';
import { readPublication } from '../../shared/postgres/replication/publication.ts';
import { columnsByKind } from '../../shared/postgres/replication/staging.ts';
import {
  type KindState,
  readStoredKinds,
  storeKindsSql,
} from '../../shared/postgres/replication/stored-kinds.ts';
import { SchemaMismatch } from '../../shared/postgres/replication/table-layout.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { ReplicatorLog } from './settings.ts';
import type { StreamedKind } from './stream-direction.ts';

export interface MatchedKinds {
  readonly kinds: readonly StreamedKind[];
  /** Differs when anything that was looked at differs. */
  readonly fingerprint: string;
}

/** Throws {@link SchemaMismatch} when there is no copy of the peer here. */
export async function matchKinds(
  own: Connection,
  publisher: Connection,
  peer: string,
): Promise<MatchedKinds> {
  const copies = [...(await readCopyTables(own, peer)).values()];
  if (copies.length === 0) {
    throw new SchemaMismatch(`site ${peer} has no tables here`, `lastcall sites add ${peer}`);
  }
  const publication = await readPublication(publisher, peer);
  const stored = await readStoredKinds(own, peer);
  const decisions = decideKinds(columnsByKind(copies), publication, stored);
  const kinds = copies.flatMap((copy) => {
    const decision = decisions.get(copy.kind.kind);
    const copiedLsn = stored.get(copy.kind.kind)?.copiedLsn ?? NO_LSN;
    return decision ? [{ copy, decision, copiedLsn }] : [];
  });
  const tables = [...(publication?.tables ?? [])];
  return { kinds, fingerprint: JSON.stringify([kinds.map(({ copy }) => copy), tables, [...decisions]]) };
}

/** Written before the first change is passed over: whatever happens next, a kind held back is copied anew once it can be. */
export async function storeDecisions(
  own: Connection,
  peer: string,
  kinds: readonly StreamedKind[],
): Promise<void> {
  const states = kinds.map(({ copy, decision }) => stateOf(copy.kind.kind, decision));
  if (states.length > 0) await own.simple(storeKindsSql(peer, states));
}

function stateOf(kind: string, decision: KindDecision): KindState {
  switch (decision.action) {
    case 'hold':
      return { kind, state: 'held-back', reason: decision.reason, detail: decision.detail };
    case 'copy':
      return { kind, state: 'needs-resync', reason: decision.reason, detail: null };
    case 'stream': {
      const { columns, heldBack } = decision;
      const waiting = heldBack.length > 0;
      return {
        kind,
        state: 'streaming',
        reason: waiting ? 'columns-held-back' : null,
        detail: waiting ? `not here yet: ${heldBack.join(', ')}` : null,
        columns,
      };
    }
  }
}

/** One line for each kind that does not simply stream. */
export function logDecisions(log: ReplicatorLog, from: string, kinds: readonly StreamedKind[]): void {
  for (const { copy, decision } of kinds) {
    const { state, reason, detail } = stateOf(copy.kind.kind, decision);
    if (reason !== null) log.warn({ from, kind: copy.kind.kind, state, reason, detail }, 'kind');
  }
}
