import type { Queryable } from '../../../shared/postgres/database.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** The settings of a publisher that logical decoding needs, as the server has them in force. */
export interface DatabaseSettings {
  readonly serverVersion: number;
  readonly walLevel: string;
  readonly maxReplicationSlots: number;
  readonly maxWalSenders: number;
  /** MB; -1 is "no limit". */
  readonly maxSlotWalKeepMb: number;
  readonly synchronousCommit: string;
  readonly fsync: string;
}

export async function readDatabaseSettings(database: Queryable): Promise<DatabaseSettings> {
  const rows = await database.query<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])`,
    [
      [
        'server_version_num',
        'wal_level',
        'max_replication_slots',
        'max_wal_senders',
        'max_slot_wal_keep_size',
        'synchronous_commit',
        'fsync',
      ],
    ],
  );
  const settings = new Map(rows.map((row) => [row.name, row.setting]));
  const text = (name: string) => settings.get(name) ?? '';
  return {
    serverVersion: Number(text('server_version_num')),
    walLevel: text('wal_level'),
    maxReplicationSlots: Number(text('max_replication_slots')),
    maxWalSenders: Number(text('max_wal_senders')),
    maxSlotWalKeepMb: Number(text('max_slot_wal_keep_size')),
    synchronousCommit: text('synchronous_commit'),
    fsync: text('fsync'),
  };
}

const OLDEST = 150_000;
const NEWEST = 190_000;

/** Pure: what is wrong with `settings` for a site with `peers` other sites and slots budgeted at `slotBudgetBytes`. */
export function judgeSettings(settings: DatabaseSettings, peers: number, slotBudgetBytes: number): Finding[] {
  return [
    version(settings),
    walLevel(settings),
    slots(settings, peers),
    keepSize(settings, slotBudgetBytes),
    durability(settings),
  ];
}

function version({ serverVersion }: DatabaseSettings): Finding {
  const major = Math.floor(serverVersion / 10_000);
  if (serverVersion >= OLDEST && serverVersion < NEWEST) return ok('version', `PostgreSQL ${major}`);
  const remedy = 'Lastcall is tested with PostgreSQL 15 to 18.';
  return serverVersion < OLDEST
    ? fail('version', `PostgreSQL ${major}`, remedy)
    : warn('version', `PostgreSQL ${major}`, remedy);
}

function walLevel({ walLevel: level }: DatabaseSettings): Finding {
  if (level === 'logical') return ok('wal_level', level);
  return fail('wal_level', level, 'Set wal_level = logical and restart PostgreSQL.');
}

/** One slot a peer, one more while a resynchronisation makes its new one. */
function slots({ maxReplicationSlots, maxWalSenders }: DatabaseSettings, peers: number): Finding {
  const needed = 2 * peers;
  const detail = `max_replication_slots ${maxReplicationSlots}, max_wal_senders ${maxWalSenders}`;
  if (Math.min(maxReplicationSlots, maxWalSenders) >= needed) return ok('slots', detail);
  return fail('slots', detail, `Set both to at least ${needed}, more with standbys, and restart PostgreSQL.`);
}

function keepSize({ maxSlotWalKeepMb }: DatabaseSettings, slotBudgetBytes: number): Finding {
  if (maxSlotWalKeepMb < 0) {
    return warn(
      'max_slot_wal_keep_size',
      'no limit',
      'Set a limit: a peer that stays away must not fill this disk.',
    );
  }
  const detail = `${maxSlotWalKeepMb} MB`;
  if (maxSlotWalKeepMb * 1_048_576 >= slotBudgetBytes) return ok('max_slot_wal_keep_size', detail);
  const remedy = `Raise it above replication.slotBudgetBytes (${slotBudgetBytes}), or lower that: else PostgreSQL drops the WAL first.`;
  return warn('max_slot_wal_keep_size', detail, remedy);
}

function durability({ fsync, synchronousCommit }: DatabaseSettings): Finding {
  const detail = `fsync ${fsync}, synchronous_commit ${synchronousCommit}`;
  if (fsync === 'on' && synchronousCommit !== 'off') return ok('durability', detail);
  return warn(
    'durability',
    detail,
    'With these settings an acknowledged call can be lost when the machine crashes.',
  );
}
