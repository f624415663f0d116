import { type CallGroup, GROUP_NAMES, type GroupName, type LastCalls } from '../../domain/last-calls.ts';
import type { Micros } from '../../domain/micros.ts';

type GroupField = keyof CallGroup;
type ColumnType = 'bigint' | 'text' | 'timestamptz';

/** Column of each group field in `lastcalls_<site>`; the dialed group has no more than these four. */
export const GROUP_COLUMNS: Readonly<Record<GroupName, Readonly<Partial<Record<GroupField, string>>>>> = {
  dialed: {
    at: 'last_dialed_date',
    number: 'last_dialed_call',
    numberId: 'last_dialed_num_id',
    privacy: 'last_dialed_privacy',
  },
  received: {
    at: 'last_received_date',
    number: 'last_received_call',
    numberId: 'last_received_num_id',
    callId: 'last_received_call_id',
    userNumber: 'last_received_user_num',
    userNumberId: 'last_received_user_num_id',
    forwardedBy: 'last_received_fwd_call',
    originalCalled: 'last_received_orig_cld_call',
    sipUri: 'last_received_sip_uri',
  },
  terminated: {
    at: 'last_terminated_date',
    number: 'last_terminated_call',
    numberId: 'last_terminated_num_id',
    callId: 'last_terminated_call_id',
    userNumber: 'last_terminated_user_num',
    userNumberId: 'last_terminated_user_num_id',
    forwardedBy: 'last_terminated_fwd_call',
    originalCalled: 'last_terminated_orig_cld_call',
    sipUri: 'last_terminated_sip_uri',
  },
};

export const DATE_COLUMN: Readonly<Record<GroupName, string>> = {
  dialed: 'last_dialed_date',
  received: 'last_received_date',
  terminated: 'last_terminated_date',
};

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly group: GroupName | null;
  readonly read: (row: LastCalls) => string | number | Micros | null;
}

/** Every column that a record writes, in one order that the SQL text and its parameters share. */
export const LAST_CALLS_COLUMNS: readonly Column[] = [
  { name: 'terminal_id', type: 'bigint', group: null, read: (row) => row.terminalId },
  { name: 'user_id', type: 'bigint', group: null, read: (row) => row.userId },
  ...GROUP_NAMES.flatMap(groupColumns),
  { name: 'last_term_unknown_pai_date', type: 'timestamptz', group: null, read: (row) => row.unknownPaiAt },
  { name: 'last_term_call_trace_date', type: 'timestamptz', group: null, read: (row) => row.callTraceAt },
  { name: 'reported_calls', type: 'text', group: null, read: (row) => row.reports ?? null },
];

function groupColumns(group: GroupName): Column[] {
  const fields = Object.entries(GROUP_COLUMNS[group]) as [GroupField, string][];
  return fields.map(([field, name]) => ({
    name,
    type: typeOf(field),
    group,
    read: (row) => row[group]?.[field] ?? null,
  }));
}

function typeOf(field: GroupField): ColumnType {
  if (field === 'at') return 'timestamptz';
  return field === 'numberId' || field === 'userNumberId' ? 'bigint' : 'text';
}

/** A row as `pg` returns it with this package's type parsers: bigint as number, timestamptz as {@link Micros}. */
export type LastCallsRecord = Readonly<Record<string, string | number | null>>;

export function toLastCalls(record: LastCallsRecord): LastCalls {
  return {
    terminalId: Number(record['terminal_id']),
    userId: (record['user_id'] ?? null) as number | null,
    dialed: toGroup('dialed', record),
    received: toGroup('received', record),
    terminated: toGroup('terminated', record),
    unknownPaiAt: (record['last_term_unknown_pai_date'] ?? null) as Micros | null,
    callTraceAt: (record['last_term_call_trace_date'] ?? null) as Micros | null,
    reports: (record['reported_calls'] ?? null) as string | null,
  };
}

function toGroup(group: GroupName, record: LastCallsRecord): CallGroup | null {
  const columns = GROUP_COLUMNS[group];
  const at = record[DATE_COLUMN[group]];
  if (at === null || at === undefined) return null;
  const text = (field: GroupField) =>
    columns[field] ? ((record[columns[field]] ?? null) as string | null) : null;
  const id = (field: GroupField) =>
    columns[field] ? ((record[columns[field]] ?? null) as number | null) : null;
  return {
    at: at as Micros,
    number: text('number'),
    numberId: id('numberId'),
    callId: text('callId'),
    userNumber: text('userNumber'),
    userNumberId: id('userNumberId'),
    forwardedBy: text('forwardedBy'),
    originalCalled: text('originalCalled'),
    sipUri: text('sipUri'),
    privacy: text('privacy'),
  };
}
