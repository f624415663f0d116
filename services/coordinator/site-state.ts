/** What one server shows: read in three looks, so that no position is judged by something read before it. */
import {
  type BeatFault,
  parseTimelineHistory,
  type ResyncReason,
  type SlotView,
  type StoredPosition,
} from '../../shared/domain/lineage.ts';
import { type Lsn, parseLsn } from '../../shared/domain/lsn.ts';
import { type Micros, micros, parseTimestamptz } from '../../shared/domain/micros.ts';
import { identifySystem, timelineHistory } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { quoteLiteral } from '../../shared/postgres/wire/quoting.ts';
import { FLOW_LEASE } from './lease.ts';

export interface SlotState extends SlotView {
  readonly retainedBytes: number;
  /** Until `max_slot_wal_keep_size` invalidates it; null without a limit. */
  readonly safeWalBytes: number | null;
}

export interface Identity {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly flushLsn: Lsn;
  readonly switchPoints: ReadonlyMap<number, Lsn>;
}

export interface ReplicationStatus {
  readonly peer: string;
  readonly state: string;
  readonly reason: string | null;
}

/** Everything the site's tables say about its directions. */
export interface Bookkeeping {
  readonly clockAt: Micros;
  readonly positions: ReadonlyMap<string, StoredPosition>;
  readonly resyncRequested: ReadonlySet<string>;
  readonly fencedBy: ReadonlyMap<string, string>;
  readonly paused: ReadonlySet<string>;
  readonly statuses: readonly ReplicationStatus[];
  /** The newest beat of each site, as this site has it. */
  readonly heartbeats: ReadonlyMap<string, Micros>;
  /** The failover whose flow holds this site's lease, when one does. */
  readonly flow: string | null;
  readonly runningFailovers: readonly { readonly id: string; readonly site: string }[];
  /** Of the last minutes. */
  readonly recentSuccesses: readonly {
    readonly id: string;
    readonly site: string;
    readonly timeline: number;
  }[];
  /** Of the last minutes. */
  readonly recentFailures: readonly { readonly site: string; readonly timeline: number }[];
}

/** First look. `null` slots: the server is in recovery. */
export async function readSlots(connection: Connection): Promise<ReadonlyMap<string, SlotState> | null> {
  const modern = connection.serverVersion >= 170_000;
  const [recovery] = await connection.simple('SELECT pg_is_in_recovery() AS standby');
  if (recovery?.rows[0]?.['standby'] === 't') return null;
  const [slots] = await connection.simple(`
    SELECT substr(slot_name, 10) AS subscriber, wal_status, safe_wal_size, confirmed_flush_lsn,
      pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS retained,
      ${modern ? 'invalidation_reason, failover' : `CASE WHEN wal_status = 'lost' THEN 'wal_removed' END AS invalidation_reason, false AS failover`}
    FROM pg_replication_slots WHERE slot_name LIKE 'lastcall\\_%' AND database = current_database() AND NOT temporary`);
  return new Map((slots?.rows ?? []).map((row) => [row['subscriber'] ?? '', toSlot(row)]));
}

/** Second look: after every site's slots. */
export async function readBookkeeping(connection: Connection): Promise<Bookkeeping> {
  const [result] = await connection.simple(BOOKKEEPING);
  const read = JSON.parse(result?.rows[0]?.['state'] ?? '{}') as RawBookkeeping;
  const controls = read.controls ?? [];
  return {
    clockAt: parseTimestamptz(read.clock_at) ?? micros(0),
    positions: new Map((read.positions ?? []).map((row) => [row.peer, toPosition(row)])),
    resyncRequested: new Set(
      controls.filter((row) => row.resync_requested_at !== null).map((row) => row.peer),
    ),
    fencedBy: new Map(controls.flatMap((row) => (row.fenced_by === null ? [] : [[row.peer, row.fenced_by]]))),
    paused: new Set(controls.filter((row) => row.paused).map((row) => row.peer)),
    statuses: read.statuses ?? [],
    heartbeats: new Map(
      (read.heartbeats ?? []).map((row) => [row.site, parseTimestamptz(row.beat_at) ?? micros(0)]),
    ),
    flow: read.flow,
    runningFailovers: read.running ?? [],
    recentSuccesses: read.done ?? [],
    recentFailures: read.failed ?? [],
  };
}

/** Third look: after every site's positions, so that no log can seem to end before a position in it. */
export async function readIdentity(walsender: Connection): Promise<Identity> {
  const identity = await identifySystem(walsender);
  return {
    ...identity,
    switchPoints: parseTimelineHistory(await timelineHistory(walsender, identity.timeline)),
  };
}

/** By subscribing site, of the beats that they have applied: those that are none of this server's (rule 29). */
export async function readBeatFaults(
  walsender: Connection,
  applied: ReadonlyMap<string, Micros>,
): Promise<ReadonlyMap<string, BeatFault>> {
  if (applied.size === 0) return new Map();
  const beats = [...applied].map(([site, beat]) => `(${quoteLiteral(site)}, ${beat})`).join(', ');
  const [result] = await walsender.simple(`
    SELECT site, fault FROM (VALUES ${beats}) AS applied (site, micros),
      LATERAL lastcall.judge_beat('epoch'::timestamptz + micros * interval '1 microsecond') AS fault
    WHERE fault IS NOT NULL`);
  return new Map((result?.rows ?? []).map((row) => [row['site'] ?? '', row['fault'] as BeatFault]));
}

interface RawPosition {
  readonly peer: string;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly slot: string;
  readonly generation: string;
  readonly lsn: string;
  readonly verdict: ResyncReason | null;
}

interface RawBookkeeping {
  readonly clock_at: string;
  readonly positions: readonly RawPosition[] | null;
  readonly controls:
    | readonly {
        peer: string;
        paused: boolean;
        resync_requested_at: string | null;
        fenced_by: string | null;
      }[]
    | null;
  readonly statuses: readonly ReplicationStatus[] | null;
  readonly heartbeats: readonly { site: string; beat_at: string }[] | null;
  readonly flow: string | null;
  readonly running: readonly { id: string; site: string }[] | null;
  readonly done: readonly { id: string; site: string; timeline: number }[] | null;
  readonly failed: readonly { site: string; timeline: number }[] | null;
}

const BOOKKEEPING = `
  SELECT json_build_object(
    'clock_at', clock_timestamp()::text,
    'positions', (SELECT json_agg(p) FROM (SELECT peer, system_identifier, timeline, slot, generation::text, lsn::text, verdict FROM lastcall.replication_position) p),
    'controls', (SELECT json_agg(c) FROM (SELECT peer, paused, resync_requested_at, fenced_by FROM lastcall.replication_control) c),
    'statuses', (SELECT json_agg(s) FROM (SELECT peer, state, reason FROM lastcall.replication_status) s),
    'heartbeats', (SELECT json_agg(h) FROM (SELECT site, beat_at::text FROM lastcall.heartbeat_by_site) h),
    'flow', (SELECT split_part(l.holder, ' ', 1) FROM lastcall.leases l WHERE l.name = '${FLOW_LEASE}' AND lastcall.is_live(l)),
    'running', (SELECT json_agg(f) FROM (SELECT id, site FROM lastcall.failovers WHERE state = 'running') f),
    'done', (SELECT json_agg(f) FROM (SELECT id, site, timeline FROM lastcall.failovers WHERE state = 'done'
               AND ended_at > clock_timestamp() - interval '5 minutes') f),
    'failed', (SELECT json_agg(f) FROM (SELECT site, timeline FROM lastcall.failovers WHERE state = 'failed' AND timeline IS NOT NULL
                 AND ended_at > clock_timestamp() - interval '5 minutes') f)) AS state`;

function toPosition(row: RawPosition): StoredPosition {
  return {
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    slot: row.slot,
    generation: BigInt(row.generation),
    lsn: parseLsn(row.lsn),
    verdict: row.verdict,
  };
}

function toSlot(row: Readonly<Record<string, string | null>>): SlotState {
  const confirmed = row['confirmed_flush_lsn'];
  return {
    walStatus: row['wal_status'] as SlotView['walStatus'],
    invalidationReason: row['invalidation_reason'] ?? null,
    confirmedFlushLsn: confirmed ? parseLsn(confirmed) : null,
    failover: row['failover'] === 't',
    retainedBytes: Number(row['retained'] ?? 0),
    safeWalBytes: row['safe_wal_size'] == null ? null : Number(row['safe_wal_size']),
  };
}
