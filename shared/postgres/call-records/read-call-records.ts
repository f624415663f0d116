import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';
import type { StoredCall } from './write-call-records.ts';

export interface CallRecordsAsked {
  /** As caller or as callee. */
  readonly terminalId: number | null;
  readonly code: 'redial' | 'return' | null;
  /** Not before. */
  readonly from: Micros | null;
  /** Older than this one, the last of the page before. */
  readonly before: PageEnd | null;
  readonly limit: number;
}

export interface PageEnd {
  readonly at: string;
  readonly recordId: string;
}

/** Newest first. */
export async function readCallRecords(
  database: Queryable,
  { before, code, from, limit, terminalId }: CallRecordsAsked,
): Promise<StoredCall[]> {
  return database.query<StoredCall>(
    `SELECT record_id AS "recordId", at, call_id AS "callId", from_terminal_id AS "fromTerminalId",
        from_number AS "fromNumber", withheld, to_terminal_id AS "toTerminalId", to_number AS "toNumber", code,
        source_site AS "sourceSite", source_age_ms AS "sourceAgeMs", result, status, setup_ms AS "setupMs",
        talk_ms AS "talkMs"
       FROM lastcall.call_records_kept
       WHERE ($1::bigint IS NULL OR $1 IN (from_terminal_id, to_terminal_id)) AND ($2::text IS NULL OR code = $2)
         AND ($3::timestamptz IS NULL OR at >= $3)
         AND ($4::timestamptz IS NULL OR (at, record_id) < ($4, $5::uuid))
       ORDER BY at DESC, record_id DESC LIMIT $6`,
    [
      terminalId,
      code,
      from === null ? null : formatTimestamptz(from),
      before?.at ?? null,
      before?.recordId ?? null,
      limit,
    ],
  );
}

const PAGE_END = /^(\d{4}-\d\d-\d\dT[\d:.]+Z)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** What a page tells of its end, for `before` of the next one. */
export const pageEndOf = ({ at, recordId }: StoredCall): string => `${formatTimestamptz(at)}_${recordId}`;

/** Null when it is none. */
export function parsePageEnd(text: string): PageEnd | null {
  const [, at = '', recordId = ''] = PAGE_END.exec(text) ?? [];
  return at === '' ? null : { at, recordId };
}
