/**
 * Where a target's rows go: a database, a queue, a webhook. One file of this shape is a new engine (docs/targets.md).
 *
 * Invariant: rows and the position that they lead to become durable together, in `commit`, or not at all. Whoever loses the
 * connection before it applies the same batch again: rows are whole and keyed, so a replay changes nothing.
 */
import type { StoredPosition } from '../domain/lineage.ts';

/**
 * A value as text: numbers in decimal, booleans `true` and `false`, dates in UTC as `2026-11-21 03:47:00.123456`, other
 * types as PostgreSQL prints them. `null` is NULL.
 */
export type Cell = string | null;
/** In the order of its table's columns. */
export type Row = readonly Cell[];
/** In the order of its table's key columns. */
export type Key = readonly string[];

export interface TargetColumn {
  readonly name: string;
  /** As PostgreSQL spells it: `bigint`, `timestamp(6) with time zone`. */
  readonly type: string;
}

/** The freshest of one kind: its columns, and of each group the site that it is from. */
export interface TargetTable {
  readonly name: string;
  /** The key columns are the first. */
  readonly columns: readonly TargetColumn[];
  readonly keyLength: number;
}

/** Where the target stands in the feeding site's WAL. */
export interface TargetPosition extends StoredPosition {
  /** The site that feeds it. */
  readonly site: string;
  /** What each table was last copied whole from; it differs after the origin's tables were replaced. */
  readonly sources: Readonly<Record<string, string>>;
}

export interface Sink {
  /** Makes or widens the tables; answers the names of those that must be copied whole for it. */
  prepare(tables: readonly TargetTable[]): Promise<readonly string[]>;
  /** What was saved last, `null` at first. From now on only this sink may save: an earlier holder's save throws {@link TargetTaken}. */
  takeOver(): Promise<TargetPosition | null>;

  begin(): Promise<void>;
  /** Puts whole rows in place of what stands under their keys. */
  apply(table: TargetTable, rows: readonly Row[]): Promise<void>;
  remove(table: TargetTable, keys: readonly Key[]): Promise<void>;
  savePosition(position: TargetPosition): Promise<void>;
  commit(): Promise<void>;
  /** Also after a failure; never throws. */
  rollback(): Promise<void>;

  /** Those of these keys that are there, in any order. For resynchronising and comparing. */
  rows(table: TargetTable, keys: readonly Key[]): Promise<Row[]>;
  /** The next keys in the sink's own order; from the first with `null`. */
  keysAfter(table: TargetTable, after: Key | null, limit: number): Promise<Key[]>;
  /** Empties the table. */
  truncate(table: TargetTable): Promise<void>;
  close(): Promise<void>;
}

/** Another feeder holds the target, or another site feeds it. */
export class TargetTaken extends Error {
  override readonly name = 'TargetTaken';
}

/** The target's server cannot be reached, or went away: it is tried again. */
export class TargetUnreachable extends Error {
  override readonly name = 'TargetUnreachable';
}

export const keyColumns = ({ columns, keyLength }: TargetTable): readonly TargetColumn[] =>
  columns.slice(0, keyLength);
