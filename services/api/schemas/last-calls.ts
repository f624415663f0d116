import { Type } from '@sinclair/typebox';
import { Nullable, Site, TerminalId, Timestamp } from './field-types.ts';

export const Group = Type.Object(
  {
    number: Nullable(Type.String({ description: 'null: withheld, or erased' })),
    numberId: Nullable(Type.Integer()),
    at: Timestamp,
    site: Site,
    withheld: Type.Boolean(),
  },
  { title: 'LastCall' },
);

const TableGroup = Nullable(
  Type.Object({ number: Nullable(Type.String()), numberId: Nullable(Type.Integer()), at: Timestamp }),
);

/** One site's table, or this site's writes that no table has yet. */
const Table = Nullable(Type.Object({ dialed: TableGroup, received: TableGroup, terminated: TableGroup }));

export const LastCallsAnswer = Type.Object({
  terminalId: TerminalId,
  dialed: Nullable(Group),
  received: Nullable(Group),
  terminated: Nullable(Group),
  tables: Type.Record(Type.String(), Table, {
    description: 'by site, before choosing; `pending`: not yet in a table',
  }),
  degraded: Type.Boolean({ description: 'a source could not be read (C6)' }),
  unreadable: Type.Array(Type.String()),
});

export const Target = Type.Object(
  {
    number: Type.String(),
    site: Site,
    at: Timestamp,
    ageMs: Type.Integer(),
    degraded: Type.Boolean({ description: 'a source could not be read (C6)' }),
  },
  { title: 'Target' },
);

export const ForgetScope = Type.Union(
  [Type.Literal('all'), Type.Literal('dialed'), Type.Literal('received'), Type.Literal('terminated')],
  { default: 'all' },
);

export const Forgotten = Type.Object({ terminalId: TerminalId, scope: ForgetScope, forgottenAt: Timestamp });
