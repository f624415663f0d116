/** Kinds of an operator's own: defined, changed and removed as the database's owner, at every site. */
import { LastcallError } from '../../domain/errors.ts';
import type { Queryable } from '../database.ts';
import { quoteIdentifier } from '../wire/quoting.ts';
import { type Kind, type KindColumn, READ_KINDS } from './kind.ts';

export interface GroupDefinition {
  readonly name: string;
  readonly date: string;
  /** Without the date; default none. */
  readonly columns?: readonly string[];
  /** The column whose NULL beside a date says: known to be withheld or erased then. */
  readonly value?: string;
}

/** Everything of a kind but its columns. */
export interface KindDefinition {
  readonly kind: string;
  readonly key: readonly string[];
  readonly groups: readonly GroupDefinition[];
  readonly singleDates?: readonly string[];
  /** Its rows go with the removal of what the key column `by` names: `{kind: 'terminals', by: 'terminal_id'}`. */
  readonly follows?: { readonly kind: string; readonly by: string };
  /** SQL over the key columns: which rows leave the site. */
  readonly rowFilter?: string;
}

const ARGUMENTS = '$3::text[], $4::jsonb, $5::text[], $6::text, $7::text, $8::text';

/**
 * Makes the kind's tables for every site, its triggers and views, and publishes the own table. Throws `LastcallError`
 * `INVALID_VALUE` saying what is wrong with the definition; then nothing was made.
 */
export async function defineKind(
  owner: Queryable,
  definition: KindDefinition,
  columns: readonly KindColumn[],
): Promise<void> {
  await owner.query(`SELECT lastcall.define_kind($1, $2, ${ARGUMENTS})`, [
    definition.kind,
    columns.map(({ name, type }) => `${quoteIdentifier(name)} ${checkedType(type)}`).join(', '),
    ...argumentsOf(definition),
  ]);
}

/**
 * The same with the columns and the rows of an existing table, which stays as it is; with `columns` only those. Returns how
 * many rows are now this site's own.
 */
export async function adoptTable(
  owner: Queryable,
  definition: KindDefinition,
  table: string,
  columns?: readonly string[],
): Promise<number> {
  const [row] = await owner.query<{ adopted: string }>(
    `SELECT lastcall.adopt_kind($1, $2::regclass, ${ARGUMENTS}, $9::text[]) AS adopted`,
    [definition.kind, table, ...argumentsOf(definition), columns ?? null],
  );
  return Number(row?.adopted ?? 0);
}

/** Adds a column at the end of a group, or of none. A site that has it first holds it back until the other has it too. */
export async function addKindColumn(
  owner: Queryable,
  kind: string,
  column: KindColumn,
  group: string | null,
): Promise<void> {
  await owner.query('SELECT lastcall.add_kind_column($1, $2, $3, $4)', [
    kind,
    column.name,
    checkedType(column.type),
    group,
  ]);
}

/** Takes the kind away with its rows, at this site. Throws `INVALID_VALUE` for one that is built in or unknown. */
export async function removeKind(owner: Queryable, kind: string): Promise<void> {
  await owner.query('SELECT lastcall.remove_kind($1)', [kind]);
}

/** In the order in which they are locked, copied and applied. */
export async function listKinds(database: Queryable): Promise<Kind[]> {
  const [row] = await database.query<{ kinds: string }>(READ_KINDS);
  return JSON.parse(row?.kinds ?? '[]') as Kind[];
}

function argumentsOf({ key, groups, singleDates, follows, rowFilter }: KindDefinition): unknown[] {
  return [
    key,
    JSON.stringify(groups),
    singleDates ?? [],
    follows?.kind ?? null,
    follows?.by ?? null,
    rowFilter ?? null,
  ];
}

/** A type stands in the text of a statement: words, a length and brackets, nothing else. */
function checkedType(type: string): string {
  if (/^[a-z][a-z0-9_ ]*(\(\d+(, ?\d+)?\))?( with(out)? time zone)?(\[\])?$/i.test(type)) return type;
  throw new LastcallError('INVALID_VALUE', { details: { message: `${type} is no type of PostgreSQL` } });
}
