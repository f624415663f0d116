/**
 * Copies some kinds of a direction anew while it does not stream (rule 36): its position stays, and of these kinds what
 * committed before the snapshot is passed over when it streams on.
 */
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import type { ConnectOptions } from './primary.ts';
import { readPublication, slotName } from './publication.ts';
import { createSnapshot } from './slot-commands.ts';
import { stage, swap } from './staging.ts';
import { storeKindsSql } from './stored-kinds.ts';
import type { CopyTable } from './table-layout.ts';

export interface CopyKindsOptions {
  readonly site: string;
  readonly peer: string;
  readonly connectPublisher: (options: ConnectOptions) => Promise<Connection>;
  readonly subscriber: Connection;
  readonly tables: readonly CopyTable[];
  readonly epoch: bigint;
  readonly slotLockTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Returns the rows of each kind. Throws `ServerError` (LC001 when another worker owns the direction) or `ConnectionLost`. */
export async function copyKinds(options: CopyKindsOptions): Promise<Readonly<Record<string, number>>> {
  const { site, peer, connectPublisher, subscriber, epoch, signal } = options;
  const applicationName = `lastcall-copy-${site}`;
  const open: Connection[] = [];
  const stop = (): void => {
    for (const connection of open) connection.destroy(new Error('stopped'));
  };
  signal.addEventListener('abort', stop);
  try {
    const walsender = await connectPublisher({ applicationName, replication: 'database' });
    open.push(walsender);
    const reader = await connectPublisher({ applicationName });
    open.push(reader);
    const slot = `${slotName(site)}_copy`;
    const { consistentPoint, snapshotName } = await createSnapshot(
      walsender,
      slot,
      options.slotLockTimeoutMs,
    );
    await reader.simple(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`,
    );
    const publication = await readPublication(reader, peer);
    const staged = await stage({ reader, subscriber }, peer, options.tables, publication, {
      lsn: consistentPoint,
      keepEqual: false,
    });
    await reader.simple('COMMIT');
    await swap({
      subscriber,
      peer,
      tables: staged.tables,
      differences: staged.differences,
      conclusion: `${storeKindsSql(peer, staged.states)}; SELECT lastcall.require_ownership(${quoteLiteral(peer)}, ${epoch})`,
      signal,
    });
    return staged.rows;
  } finally {
    signal.removeEventListener('abort', stop);
    await Promise.all(open.map((connection) => connection.close()));
  }
}
