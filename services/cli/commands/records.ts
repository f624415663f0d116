import { LastcallError } from '../../../shared/domain/errors.ts';
import { formatTimestamptz, type Micros, parseTimestamptz } from '../../../shared/domain/micros.ts';
import {
  pageEndOf,
  parsePageEnd,
  readCallRecords,
} from '../../../shared/postgres/call-records/read-call-records.ts';
import type { StoredCall } from '../../../shared/postgres/call-records/write-call-records.ts';
import type { Command } from '../command.ts';
import { namedTerminal } from '../named-terminal.ts';
import { table } from '../table.ts';
import { csvCell } from '../terminal-lines.ts';
import { oneOf, whole } from '../value-forms.ts';

const PAGE = 1_000;
const COLUMNS = [
  'at',
  'fromNumber',
  'toNumber',
  'code',
  'sourceSite',
  'sourceAgeMs',
  'result',
  'status',
  'setupMs',
  'talkMs',
  'withheld',
  'fromTerminalId',
  'toTerminalId',
  'callId',
  'recordId',
] as const satisfies readonly (keyof StoredCall)[];

export const records: Command = {
  name: 'records',
  summary: 'finished calls of this site, newest first, when `calls.recordDays` keeps them',
  options: [
    { flags: '--terminal <name>', description: 'of one terminal, as caller or callee' },
    {
      flags: '--code <code>',
      description: 'only of a star code: redial or return',
      parse: oneOf('redial', 'return'),
    },
    { flags: '--from <time>', description: 'none before, such as 2026-11-21T00:00:00Z' },
    { flags: '--limit <n>', description: 'at most so many', default: 50, parse: whole(1, 10_000_000) },
    { flags: '--csv', description: 'as CSV, its first line names the columns' },
  ],
  examples: [
    'lastcall records --code redial',
    'lastcall records --from 2026-11-01T00:00:00Z --limit 1000000 --csv > november.csv',
  ],
  async run(input, context) {
    const database = await context.database();
    const name = input.maybeText('terminal');
    const terminalId = name === null ? null : (await namedTerminal(database, name)).terminalId;
    const asked = {
      terminalId,
      code: input.maybeText('code') as 'redial' | 'return' | null,
      from: moment(input.maybeText('from')),
    };
    const csv = input.flag('csv');
    const limit = input.maybeWhole('limit') ?? 50;
    const data: object[] = [];
    let shown = 0;
    if (csv) context.out(`${COLUMNS.join(',')}\n`);
    for (let before = null as ReturnType<typeof parsePageEnd>; shown < limit; ) {
      const page = await readCallRecords(database, {
        ...asked,
        before,
        limit: Math.min(PAGE, limit - shown),
      });
      const rows = page.map((call) => ({ ...call, at: formatTimestamptz(call.at) }));
      if (csv)
        context.out(
          rows.map((row) => `${COLUMNS.map((column) => csvCell(row[column])).join(',')}\n`).join(''),
        );
      else data.push(...rows);
      shown += page.length;
      const last = page.at(-1);
      if (!last || page.length < PAGE) break;
      before = parsePageEnd(pageEndOf(last));
    }
    if (csv) return { data: { records: shown }, text: '', printed: true };
    return {
      data,
      text: shown === 0 ? nothing(context.config().config.calls.recordDays) : shownTable(data as Shown[]),
    };
  },
};

type Shown = Omit<StoredCall, 'at'> & { readonly at: string };

const nothing = (days: number): string =>
  days === 0 ? 'no call is written down: calls.recordDays is 0' : 'no call yet';

function shownTable(calls: readonly Shown[]): string {
  const rows = calls.map((call) => [
    call.at,
    call.withheld ? 'withheld' : call.fromNumber,
    call.toNumber,
    call.code,
    call.sourceSite,
    call.sourceAgeMs,
    `${call.result} (${call.status})`,
    call.setupMs,
    call.talkMs,
  ]);
  return table(['at', 'from', 'to', 'code', 'from site', 'age ms', 'result', 'set-up ms', 'talk ms'], rows);
}

function moment(text: string | null): Micros | null {
  if (text === null) return null;
  const at = parseTimestamptz(text);
  if (at !== null) return at;
  throw new LastcallError('INVALID_VALUE', {
    details: { message: `--from ${text} is no time such as 2026-11-21T00:00:00Z` },
  });
}
