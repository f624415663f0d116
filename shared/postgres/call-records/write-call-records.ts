import type { FinishedCall } from '../../domain/finished-call.ts';
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';

/** A finished call under the id of its row. */
export type StoredCall = FinishedCall & { readonly recordId: string };

/** How long two parties talked, told after the row was written. */
export interface TalkTime {
  readonly recordId: string;
  readonly at: Micros;
  readonly talkMs: number;
}

const COLUMNS: readonly (readonly [column: string, type: string, of: (call: StoredCall) => unknown])[] = [
  ['record_id', 'uuid', (call) => call.recordId],
  ['at', 'timestamptz', (call) => formatTimestamptz(call.at)],
  ['call_id', 'text', (call) => call.callId],
  ['from_terminal_id', 'bigint', (call) => call.fromTerminalId],
  ['from_number', 'text', (call) => call.fromNumber],
  ['withheld', 'boolean', (call) => call.withheld],
  ['to_terminal_id', 'bigint', (call) => call.toTerminalId],
  ['to_number', 'text', (call) => call.toNumber],
  ['code', 'text', (call) => call.code],
  ['source_site', 'text', (call) => call.sourceSite],
  ['source_age_ms', 'bigint', (call) => call.sourceAgeMs],
  ['result', 'text', (call) => call.result],
  ['status', 'integer', (call) => call.status],
  ['setup_ms', 'integer', (call) => call.setupMs],
  ['talk_ms', 'bigint', (call) => call.talkMs],
];

const INSERT = `INSERT INTO lastcall.call_records (${COLUMNS.map(([column]) => column).join(', ')})
  SELECT * FROM unnest(${COLUMNS.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')})
  ON CONFLICT DO NOTHING`;

/** One statement for all of them; safe to repeat. */
export async function writeCallRecords(
  database: Queryable,
  calls: readonly StoredCall[],
  budgetMs: number,
): Promise<void> {
  const values = COLUMNS.map(([, , of]) => calls.map(of));
  await database.query(INSERT, values, budgetMs);
}

export async function writeTalkTimes(
  database: Queryable,
  times: readonly TalkTime[],
  budgetMs: number,
): Promise<void> {
  await database.query(
    `UPDATE lastcall.call_records r SET talk_ms = t.talk_ms
       FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) AS t (record_id, at, talk_ms)
       WHERE r.at = t.at AND r.record_id = t.record_id`,
    [
      times.map(({ recordId }) => recordId),
      times.map(({ at }) => formatTimestamptz(at)),
      times.map(({ talkMs }) => talkMs),
    ],
    budgetMs,
  );
}

/** Days for the coming week, none older than `days`, nothing of whoever was forgotten; 0: none at all. */
export async function keepCallRecords(database: Queryable, days: number): Promise<void> {
  await database.query('SELECT lastcall.keep_call_records($1)', [days]);
}

/** Forgets last calls older than `days` everywhere; 0: none. */
export async function expireLastCalls(database: Queryable, days: number): Promise<void> {
  await database.query('SELECT lastcall.expire_last_calls($1)', [days]);
}
