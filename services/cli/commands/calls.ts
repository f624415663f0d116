import { chooseFreshest, type Source } from '../../../shared/domain/choose-freshest.ts';
import { type CallGroup, GROUP_NAMES, type GroupName } from '../../../shared/domain/last-calls.ts';
import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { type KnownLastCalls, readLastCalls } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import type { Command } from '../command.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';
import { table } from '../table.ts';

export const calls: Command = {
  name: 'calls',
  summary: "a terminal's last calls in every site's table, which of them wins, and why",
  arguments: [TERMINAL_ARGUMENT],
  async run(input, context) {
    const database = await context.database();
    const { terminalId } = await namedTerminal(database, input.text('TERMINAL'));
    const budgetMs = context.config().config.postgres.lookupBudgetMs;
    const known = (await readLastCalls(database, [terminalId], budgetMs)).get(terminalId) ?? {
      sources: [],
      marks: [],
    };
    const entries = GROUP_NAMES.flatMap((group) => groupEntries(group, known));
    const rows = entries.map((e) => [e.group, e.site, e.number, e.at, e.wins ? `wins: ${e.why}` : e.why]);
    return { data: { terminalId, entries }, text: table(['call', 'table of', 'number', 'at', ''], rows) };
  },
};

interface Entry {
  readonly group: GroupName;
  readonly site: string;
  readonly number: string | null;
  readonly at: string | null;
  readonly wins: boolean;
  readonly why: string;
}

/** Pure: each table's entry of one group, and what `chooseFreshest` makes of it. */
export function groupEntries(group: GroupName, { marks, sources }: KnownLastCalls): Entry[] {
  const choice = chooseFreshest([group], sources, marks);
  const winner = 'site' in choice ? choice.site : null;
  const entries = sources.map((source) => ({ source, entry: entryOf(source, group) }));
  const standing = entries.filter(({ entry }) => entry !== null).length;
  return entries.map(({ entry, source }) => {
    const wins = entry !== null && source.site === winner;
    return {
      group,
      site: source.site,
      number: entry?.number ?? null,
      at: entry === null ? null : formatTimestamptz(entry.at),
      wins,
      why: wins ? whyItWins(choice.kind, standing) : whyNot(source, entry, winner),
    };
  });
}

function entryOf(source: Source, group: GroupName): CallGroup | null {
  return 'row' in source ? (source.row?.[group] ?? null) : null;
}

function whyItWins(kind: string, standing: number): string {
  const reason = standing === 1 ? 'the only one' : 'the newest date';
  return kind === 'number' ? reason : `${reason}; it is ${kind}, and an older one is never used instead`;
}

function whyNot(source: Source, entry: CallGroup | null, winner: string | null): string {
  if ('unreadable' in source) return 'cannot be read';
  if (entry === null) return 'nothing recorded';
  return winner === null ? 'forgotten' : 'older, or forgotten';
}
