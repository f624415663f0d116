import { setTimeout as delay } from 'node:timers/promises';
import type { KindDecision } from '../../shared/domain/decide-kinds.ts';
import type { StoredPosition } from '../../shared/domain/lineage.ts';
import type { Lsn } from '../../shared/domain/lsn.ts';
import { Applier } from '../../shared/postgres/replication/apply.ts';
import { BatchPump } from '../../shared/postgres/replication/batch-pump.ts';
import { type Batch, Conflater } from '../../shared/postgres/replication/conflate.ts';
import type { Relation } from '../../shared/postgres/replication/pgoutput.ts';
import { publicationName, slotName } from '../../shared/postgres/replication/publication.ts';
import { ReplicationStream } from '../../shared/postgres/replication/replication-stream.ts';
import { readTimestamptz } from '../../shared/postgres/replication/row-bytes.ts';
import { type CopyTable, layOut, type TableLayout } from '../../shared/postgres/replication/table-layout.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { ConnectionLost, ServerError } from '../../shared/postgres/wire/server-error.ts';
import type { Direction } from './direction.ts';
import { OwnDatabaseFault } from './fault.ts';
import type { ReplicatorSettings } from './settings.ts';

export interface StreamDirectionOptions {
  readonly direction: Direction;
  readonly settings: ReplicatorSettings;
  /** How long the publisher may be silent on this link. */
  readonly silenceLimitMs: number;
  readonly own: Connection;
  readonly walsender: Connection;
  readonly epoch: bigint;
  readonly position: StoredPosition;
  readonly kinds: readonly StreamedKind[];
  readonly onStreaming: () => void;
  readonly signal: AbortSignal;
}

/** One kind of the direction, as it was decided before streaming. */
export interface StreamedKind {
  readonly copy: CopyTable;
  readonly decision: KindDecision;
  /** What committed before this is in the copy. */
  readonly copiedLsn: Lsn;
}

/** Streams until the signal, then applies what is complete and acknowledges it. Throws what ended the stream otherwise. */
export async function streamDirection(options: StreamDirectionOptions): Promise<void> {
  const { direction, settings, own, walsender, position, signal } = options;
  const kinds = new Map(options.kinds.map((kind) => [kind.copy.table, kind]));
  const conflater = new Conflater(
    (relation, commitLsn) => layOutKind(relation, kinds.get(relation.table), commitLsn),
    position.lsn,
  );
  const applier = await Applier.open(own, {
    peer: direction.from,
    epoch: options.epoch,
    generation: position.generation,
  });
  const failure = new Failure();
  own.onClosed = (cause) => failure.ofOwnDatabase(cause);
  const statusIntervalMs = await statusInterval(walsender, options.silenceLimitMs);
  const stream: ReplicationStream = new ReplicationStream({
    walsender,
    slot: slotName(direction.to),
    publication: publicationName(direction.from),
    from: position.lsn,
    sink: conflater,
    statusIntervalMs,
    silenceLimitMs: options.silenceLimitMs,
    onKeepalive: (serverLsn) => pump.onKeepalive(serverLsn),
    onRead: () => {
      direction.receivedAtMs = Date.now();
      pump.onRead();
    },
  });
  const pump = new BatchPump({
    conflater,
    applier,
    stream,
    from: position.lsn,
    ...settings,
    backlogAgeMs: () => stream.backlogAgeMs,
    onApplied: (batch) => account(direction, batch),
    onFailed: (cause) => failure.ofOwnDatabase(cause),
  });
  direction.appliedLsn = position.lsn;
  try {
    await stream.start();
    options.onStreaming();
    stream.ended.then(
      () => failure.reject(new ConnectionLost('the publisher ended the stream')),
      failure.reject,
    );
    await Promise.race([aborted(signal), failure.promise]);
    await pump.stop();
    stream.stop();
    await Promise.race([stream.ended, delay(1_000)]).catch(() => undefined);
  } finally {
    pump.abandon();
    own.onClosed = null;
  }
}

/** `null`: its changes are passed over. A form that lasted only until the copy was made is no fault. */
function layOutKind(relation: Relation, kind: StreamedKind | undefined, commitLsn: Lsn): TableLayout | null {
  if (relation.schema !== 'lastcall' || kind?.decision.action !== 'stream') return null;
  try {
    return layOut(relation, kind.copy, kind.copiedLsn);
  } catch (cause) {
    if (commitLsn < kind.copiedLsn) return null;
    throw cause;
  }
}

/** The first thing that goes wrong ends the stream. */
class Failure {
  reject: (cause: Error) => void = () => undefined;
  readonly promise = new Promise<never>((_, reject) => {
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => undefined);
  }

  /** Its outages have a word of their own, so that nobody searches at the peer. */
  ofOwnDatabase(cause: Error): void {
    const away =
      cause instanceof ConnectionLost || (cause instanceof ServerError && /^(57|53|08)/.test(cause.code));
    this.reject(away ? new OwnDatabaseFault("this site's database went away", { cause }) : cause);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

const SERVER_SHARE = 2;

/** A third of the server's wal_sender_timeout at most (rule 9), and often enough to notice silence. */
async function statusInterval(walsender: Connection, silenceLimitMs: number): Promise<number> {
  // On a slow link the server must be patient as well.
  const patientMs = Math.ceil(silenceLimitMs * SERVER_SHARE);
  const [, result] = await walsender.simple(
    `SELECT set_config('wal_sender_timeout', greatest(setting::int, ${patientMs})::text, false)
       FROM pg_settings WHERE name = 'wal_sender_timeout' AND setting::int > 0;
     SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'`,
  );
  const serverTimeoutMs = Number(result?.rows[0]?.['setting'] ?? 60_000) || 60_000;
  return Math.max(50, Math.min(serverTimeoutMs / 3, silenceLimitMs / 4));
}

function account(direction: Direction, batch: Batch): void {
  direction.appliedLsn = batch.endLsn;
  direction.rowsReceived += batch.rowsReceived;
  direction.rowsApplied += batch.rowsOut;
  for (const table of batch.tables) {
    const { kind } = table.layout.copy;
    if (kind.purpose !== 'heartbeat' || table.rowCount === 0) continue;
    const date = kind.groups[0]?.date;
    const column = table.layout.columns.findIndex((each) => each?.name === date);
    const beatAt = readTimestamptz(table.arena, table.offsets[table.size - 1] ?? 0, column);
    if (beatAt === null) continue;
    direction.beatAppliedAtMs = Date.now();
    direction.beatLagMs = direction.beatAppliedAtMs - beatAt / 1000;
  }
}
