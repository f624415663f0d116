/**
 * An operator's table as the command line and its file say it, and `tables show` prints it: the same form both ways, so
 * that what one site shows can be given to the next.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { KindDefinition } from '../../../shared/postgres/kinds/define-kind.ts';
import type { Kind, KindColumn } from '../../../shared/postgres/kinds/kind.ts';
import { dateOf, groupOf } from '../../../shared/postgres/kinds/kind-sql.ts';
import { WrongUsage } from '../command.ts';

/** Column and type; no type where an existing table says it. */
const Columns = Type.Record(
  Type.String({ minLength: 1 }),
  Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
);

export const TableDescription = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    key: Columns,
    groups: Type.Record(
      Type.String(),
      Type.Object(
        {
          date: Type.String({ minLength: 1 }),
          columns: Type.Optional(Columns),
          value: Type.Optional(Type.String()),
        },
        { additionalProperties: false },
      ),
    ),
    /** Dates of no group. */
    dates: Type.Optional(Type.Array(Type.String())),
    /** Columns of no group and without a date. */
    columns: Type.Optional(Columns),
    follows: Type.Optional(
      Type.Object({ kind: Type.String(), by: Type.String() }, { additionalProperties: false }),
    ),
    where: Type.Optional(Type.String({ minLength: 1 })),
    from: Type.Optional(Type.String({ minLength: 1 })),
  },
  { additionalProperties: false },
);
export type TableDescription = Static<typeof TableDescription>;

const DATE = 'timestamptz(6)';

/** The content of a file. Throws `WrongUsage` naming every fault. */
export function checkedDescription(content: unknown): TableDescription {
  if (Value.Check(TableDescription, content)) return content;
  const faults = [...Value.Errors(TableDescription, content)].map(
    ({ path, message }) => `${path || '/'}: ${message}`,
  );
  throw new WrongUsage(`the file does not describe a table: ${[...new Set(faults)].slice(0, 5).join('; ')}`);
}

export interface TableOptions {
  readonly name: string;
  readonly key: readonly string[];
  readonly group: readonly string[];
  readonly value: readonly string[];
  readonly date: readonly string[];
  readonly column: readonly string[];
  readonly follows: string | null;
  readonly where: string | null;
  readonly from: string | null;
}

/** What the options of one call say. Throws `WrongUsage` with the expected form. */
export function describedByOptions(options: TableOptions): TableDescription {
  const key = columnsOf(options.key);
  const groups = Object.fromEntries(options.group.map((text) => groupOfText(text, options.value)));
  const [first] = Object.keys(key);
  if (!first) throw new WrongUsage('say the key: --key terminal_id:bigint');
  if (options.group.length === 0) throw new WrongUsage(`say at least one group: --group ${GROUP_FORM}`);
  const columns = columnsOf(options.column);
  const [kind = '', by = first] = options.follows?.split(':') ?? [];
  return {
    name: options.name,
    key,
    groups,
    ...(options.date.length > 0 && { dates: [...options.date] }),
    ...(options.column.length > 0 && { columns }),
    ...(options.follows !== null && { follows: { kind, by } }),
    ...(options.where !== null && { where: options.where }),
    ...(options.from !== null && { from: options.from }),
  };
}

const GROUP_FORM = "'forward:forwarded_at(forward_to:text,rings:integer)'";

function groupOfText(text: string, values: readonly string[]): [string, TableDescription['groups'][string]] {
  const match = /^(\w+):(\w+)(?:\((.*)\))?$/.exec(text.trim());
  const [, name, date, list = ''] = match ?? [];
  if (!name || !date) throw new WrongUsage(`expected a group as ${GROUP_FORM}, not '${text}'`);
  const columns = columnsOf(splitList(list));
  const value = values.find((column) => column in columns);
  return [name, { date, columns, ...(value !== undefined && { value }) }];
}

/** At the commas outside brackets: `a:numeric(5,2),b`. */
const splitList = (list: string): string[] =>
  list
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** `forward_to:text`, or the name alone. */
function columnsOf(list: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    list.flatMap(splitList).map((text) => {
      const [, name, type] = /^(\w+)(?:\s*[:\s]\s*(.+))?$/.exec(text) ?? [];
      if (!name) throw new WrongUsage(`expected a column as forward_to:text, not '${text}'`);
      return [name, type ?? null];
    }),
  );
}

export function definitionOf(description: TableDescription): KindDefinition {
  const { name, key, groups, dates, follows, where } = description;
  return {
    kind: name,
    key: Object.keys(key),
    groups: Object.entries(groups).map(([group, { date, columns = {}, value }]) => ({
      name: group,
      date,
      columns: Object.keys(columns),
      ...(value !== undefined && { value }),
    })),
    ...(dates && { singleDates: dates }),
    ...(follows && { follows }),
    ...(where !== undefined && { rowFilter: where }),
  };
}

/** Every column that the description names, dates included. */
export function namedColumns({ key, groups, dates = [], columns = {} }: TableDescription): string[] {
  const grouped = Object.values(groups).flatMap((group) => [...Object.keys(group.columns ?? {}), group.date]);
  return [...new Set([...Object.keys(key), ...grouped, ...dates, ...Object.keys(columns)])];
}

/** With their types. Throws `WrongUsage` for a key column without one; others are text. */
export function typedColumns(description: TableDescription): KindColumn[] {
  const { key, groups, dates = [], columns = {} } = description;
  const untyped = Object.keys(key).find((name) => key[name] === null);
  if (untyped) throw new WrongUsage(`say the type of the key column: --key ${untyped}:bigint`);
  const typed = new Map<string, string>();
  const take = (more: Readonly<Record<string, string | null>>) => {
    for (const [name, type] of Object.entries(more)) typed.set(name, type ?? 'text');
  };
  take(key);
  for (const group of Object.values(groups)) {
    take(group.columns ?? {});
    typed.set(group.date, DATE);
  }
  for (const date of dates) typed.set(date, DATE);
  take(columns);
  return [...typed].map(([name, type]) => ({ name, type }));
}

/** A table that is there, in the form of its file. */
export function describeKind(kind: Kind): TableDescription {
  const types = new Map(kind.columns.map(({ name, type }) => [name, type]));
  const typed = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, types.get(name) ?? null]));
  const loose = kind.columns.filter(
    ({ name }) => !kind.key.includes(name) && groupOf(kind, name) === null && dateOf(kind, name) === null,
  );
  return {
    name: kind.kind,
    key: typed(kind.key),
    groups: Object.fromEntries(
      kind.groups.map(({ name, date, columns, value }) => [
        name,
        { date, columns: typed(columns), ...(value !== null && { value }) },
      ]),
    ),
    ...(kind.singleDates.length > 0 && { dates: [...kind.singleDates] }),
    ...(loose.length > 0 && { columns: typed(loose.map(({ name }) => name)) }),
    ...(kind.follows && { follows: { ...kind.follows } }),
    ...(kind.rowFilter !== null && { where: kind.rowFilter }),
  };
}
