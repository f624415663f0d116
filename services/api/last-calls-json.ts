import { type Choice, chooseFreshest, type Source } from '../../shared/domain/choose-freshest.ts';
import { LastcallError } from '../../shared/domain/errors.ts';
import { type CallGroup, GROUP_NAMES, type LastCalls } from '../../shared/domain/last-calls.ts';
import { formatTimestamptz } from '../../shared/domain/micros.ts';
import { dialableNumber } from '../../shared/domain/number.ts';
import type { KnownLastCalls } from '../../shared/postgres/last-calls/read-last-calls.ts';

/** Every group's freshest entry with where it stands, and every table as it is. Throws `UNREADABLE` when nothing can be read (C7). */
export function lastCallsJson(terminalId: number, { sources, marks }: KnownLastCalls) {
  const choices = GROUP_NAMES.map((group) => [group, chooseFreshest([group], sources, marks)] as const);
  const unreadable = sources.filter((source) => 'unreadable' in source).map(sourceName);
  if (choices.every(([, choice]) => choice.kind === 'unreadable')) {
    throw new LastcallError('UNREADABLE', { details: { unreadable } });
  }
  const groups = Object.fromEntries(choices.map(([group, choice]) => [group, groupJson(choice)]));
  return {
    terminalId,
    dialed: groups['dialed'] ?? null,
    received: groups['received'] ?? null,
    terminated: groups['terminated'] ?? null,
    tables: Object.fromEntries(sources.map((source) => [sourceName(source), tableJson(source)])),
    degraded: unreadable.length > 0,
    unreadable,
  };
}

function sourceName(source: Source): string {
  return source.pending ? 'pending' : source.site;
}

function groupJson(choice: Choice) {
  switch (choice.kind) {
    case 'number': {
      const number = dialableNumber(choice.number);
      return {
        number,
        numberId: choice.entry.numberId,
        at: formatTimestamptz(choice.entry.at),
        site: choice.site,
        withheld: number === null,
      };
    }
    case 'withheld':
    case 'erased':
      return {
        number: null,
        numberId: null,
        at: formatTimestamptz(choice.at),
        site: choice.site,
        withheld: choice.kind === 'withheld',
      };
    default:
      return null;
  }
}

function tableJson(source: Source) {
  if ('unreadable' in source || source.row === null) return null;
  const row: LastCalls = source.row;
  return {
    dialed: entryJson(row.dialed),
    received: entryJson(row.received),
    terminated: entryJson(row.terminated),
  };
}

function entryJson(entry: CallGroup | null) {
  if (entry === null) return null;
  const number = entry.number === null ? null : dialableNumber(entry.number);
  return { number, numberId: entry.numberId, at: formatTimestamptz(entry.at) };
}
