/**
 * (Re)synchronisation of this site's copies of one peer, for the first time or after its lineage broke.
 *
 * Invariants: the new slot is made beside the old one, which goes on keeping its WAL until the copies are filled (rule 33);
 * the old position is gone before the new slot has the old one's name (rule 2); the slot comes first, the copied snapshot
 * is the one it exported, streaming starts at its consistent point (rule 22); the new content, and the position with it,
 * become visible in one transaction (rule 23, I6). Stopped after any step, the next run starts over and ends the same.
 */

import { formatLsn, type Lsn } from '../../domain/lsn.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { ServerError } from '../wire/server-error.ts';
import { readCopyTables } from './copy-catalog.ts';
import type { ConnectOptions } from './primary.ts';
import { publicationName, readPublication, slotName } from './publication.ts';
import { countRowsOnlyHere, RowsOnlyHere } from './rows-only-here.ts';
import { createSlot, dropSlot, identifySystem, nextSlotName, promoteNextSlot } from './slot-commands.ts';
import { stage, swap } from './staging.ts';
import { storeKindsSql } from './stored-kinds.ts';

export { RowsOnlyHere } from './rows-only-here.ts';

export type ResyncStep = 'check' | 'create-slot' | 'copy' | 'forget-position' | 'promote-slot' | 'swap';

export interface ResyncOptions {
  /** The subscribing site, where the copies are. */
  readonly site: string;
  /** The site whose tables are copied. */
  readonly peer: string;
  readonly connectSubscriber: (options: ConnectOptions) => Promise<Connection>;
  readonly connectPublisher: (options: ConnectOptions) => Promise<Connection>;
  /** From `takeOwnership`: a worker that lost the direction cannot swap (rule 7). */
  readonly epoch: bigint;
  /** How long slot creation may wait for older transactions at the publisher (rule 15). */
  readonly slotLockTimeoutMs: number;
  /** Throws `RowsOnlyHere` instead of swapping away rows that the origin does not have. */
  readonly refuseLoss?: boolean;
  /** Copies that hardly differ from their origin stay, and only what differs is replaced. Not with `refuseLoss`. */
  readonly keepEqual?: boolean;
  readonly signal?: AbortSignal;
  /**
   * Called after the checks and before anything is given up: the place to merge back into the origin what only the
   * copies hold (rule 21). When it throws, nothing has changed.
   */
  readonly salvage?: () => Promise<void>;
  readonly onStep?: (step: ResyncStep, tookMs: number) => void;
}

export interface ResyncResult {
  readonly consistentPoint: Lsn;
  readonly generation: bigint;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** By kind, what travelled. */
  readonly rows: Readonly<Record<string, number>>;
  /** How long the swap's transaction held its locks: the longest that a reader can have waited. */
  readonly swapMs: number;
}

/** Throws `ServerError`, `ConnectionLost`, or the signal's reason. Nobody else may stream this direction meanwhile. */
export async function resyncPeer(options: ResyncOptions): Promise<ResyncResult> {
  const applicationName = `lastcall-resync-${options.site}`;
  const open: Connection[] = [];
  const opened = async (opening: Promise<Connection>): Promise<Connection> => {
    const connection = await opening;
    open.push(connection);
    return connection;
  };
  const stop = (): void => {
    for (const connection of open) connection.destroy(new Error('stopped'));
  };
  options.signal?.addEventListener('abort', stop);
  try {
    const subscriber = await opened(options.connectSubscriber({ applicationName }));
    const walsender = await opened(options.connectPublisher({ applicationName, replication: 'database' }));
    const reader = await opened(options.connectPublisher({ applicationName }));
    return await resyncOver({ subscriber, walsender, reader }, options);
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw cause;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await Promise.all(open.map((connection) => connection.close()));
  }
}

interface Ends {
  readonly subscriber: Connection;
  readonly walsender: Connection;
  readonly reader: Connection;
}

async function resyncOver(
  { subscriber, walsender, reader }: Ends,
  options: ResyncOptions,
): Promise<ResyncResult> {
  const { peer, site } = options;
  const step = async <T>(name: ResyncStep, body: () => Promise<T>): Promise<T> => {
    options.signal?.throwIfAborted();
    const startedAt = performance.now();
    const result = await body();
    options.onStep?.(name, performance.now() - startedAt);
    return result;
  };
  const identity = await step('check', async () => {
    await check(subscriber, reader, options);
    return identifySystem(walsender);
  });
  await options.salvage?.();
  const ends = { walsender, locker: reader };
  const slot = await step('create-slot', () =>
    createSlot(ends, nextSlotName(slotName(site)), options.slotLockTimeoutMs),
  );
  const copies = [...(await readCopyTables(subscriber, peer)).values()];
  const { tables, differences, rows, states } = await step('copy', async () => {
    await reader.simple(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(slot.snapshotName)}`,
    );
    const publication = await readPublication(reader, peer);
    const staged = await stage({ reader, subscriber }, peer, copies, publication, {
      lsn: slot.consistentPoint,
      keepEqual: options.keepEqual === true && options.refuseLoss !== true,
    });
    await reader.simple('COMMIT');
    return staged;
  });
  if (options.refuseLoss) {
    const count = await countRowsOnlyHere(subscriber, peer, tables);
    if (count > 0) {
      await dropSlot(reader, nextSlotName(slotName(site)));
      throw new RowsOnlyHere(peer, count);
    }
  }
  const generation = await step('forget-position', () =>
    forgetPosition(subscriber, options, slotName(site), identity),
  );
  await step('promote-slot', () => promoteNextSlot(ends, slotName(site)));
  const swapMs = await step('swap', () =>
    swap({
      subscriber,
      peer,
      tables,
      differences,
      conclusion: `${storeKindsSql(peer, states)};
        SELECT lastcall.advance_position(${quoteLiteral(peer)}, ${options.epoch}, ${generation},
          '${formatLsn(slot.consistentPoint)}', true)`,
      signal: options.signal,
    }),
  );
  await walsender.simple(`SELECT lastcall.forget_dropped_slot(${quoteLiteral(slotName(site))})`);
  return { consistentPoint: slot.consistentPoint, generation, ...identity, rows, swapMs };
}

/** Rule 20: whatever can be known to fail later fails here, before anything is given up. */
async function check(
  subscriber: Connection,
  publisher: Connection,
  { peer, epoch }: ResyncOptions,
): Promise<void> {
  const { rows } = await subscriber.query('SELECT epoch FROM lastcall.replication_owner WHERE peer = $1', [
    peer,
  ]);
  if (BigInt(rows[0]?.['epoch'] ?? 0) !== epoch) throw lostOwnership(peer);
  const found = await publisher.query('SELECT FROM pg_publication WHERE pubname = $1', [
    publicationName(peer),
  ]);
  if (found.rowCount === 0) {
    throw new ServerError(
      new Map([
        ['C', SQLSTATE.UNDEFINED_OBJECT],
        ['M', `publication ${publicationName(peer)} is not there`],
      ]),
    );
  }
}

const lostOwnership = (peer: string): ServerError =>
  new ServerError(
    new Map([
      ['C', SQLSTATE.OWNERSHIP_LOST],
      ['M', `direction from ${peer} belongs to another worker now`],
    ]),
  );

/** Keeps the row for its generation; `0/0` is no position. Throws LC001 when the direction was taken over meanwhile. */
async function forgetPosition(
  subscriber: Connection,
  { peer, epoch }: Pick<ResyncOptions, 'peer' | 'epoch'>,
  slot: string,
  identity: { systemIdentifier: string; timeline: number },
): Promise<bigint> {
  const { rows } = await subscriber.query(
    `INSERT INTO lastcall.replication_position AS p (peer, system_identifier, timeline, slot, generation, lsn)
       SELECT peer, $2, $3::integer, $4, 1, '0/0' FROM lastcall.replication_owner WHERE peer = $1 AND epoch = $5::bigint
     ON CONFLICT (peer) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline,
       slot = excluded.slot, generation = p.generation + 1, lsn = '0/0', verdict = NULL, applied_at = clock_timestamp()
     RETURNING generation`,
    [peer, identity.systemIdentifier, String(identity.timeline), slot, String(epoch)],
  );
  if (rows.length === 0) throw lostOwnership(peer);
  return BigInt(rows[0]?.['generation'] ?? 0);
}
