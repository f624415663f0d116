/**
 * What each kind of a direction needs before it streams (replication rule 36): its table at the origin, its place in the
 * publication and its columns are compared with those that the copy was made from. One kind that differs is copied anew
 * or held back by itself; the others go on.
 */

export interface TableColumn {
  readonly name: string;
  /** As PostgreSQL spells it. */
  readonly type: string;
  readonly isKey: boolean;
}

/** One table of the origin's publication, as its catalog has it now. */
export interface PublishedTable {
  /** Its OID, and those of the publication and of its place therein, with the transactions that wrote them last. */
  readonly source: string;
  /** `d` default (primary key), `n` nothing, `f` full, `i` index. */
  readonly replicaIdentity: string;
  readonly columns: readonly TableColumn[];
}

export interface Publication {
  /** Whether it publishes every kind of change. */
  readonly isComplete: boolean;
  /** By kind. */
  readonly tables: ReadonlyMap<string, PublishedTable>;
  /** Kinds of the origin, published or not. */
  readonly kinds: ReadonlySet<string>;
}

/** What a kind's copy was last made from. */
export interface StoredKind {
  readonly state: 'streaming' | 'needs-resync' | 'held-back';
  readonly source: string | null;
  /** Those that both sites had. */
  readonly columns: readonly string[];
}

export type KindReason =
  | 'never-synchronised'
  | 'publication-changed'
  | 'columns-changed'
  | 'changes-missed'
  | 'columns-held-back'
  | 'waiting-for-peer'
  | 'not-published'
  | 'publication-incomplete'
  | 'replica-identity'
  | 'schema-mismatch';

export type KindDecision =
  /** `heldBack`: columns of the origin that are not here yet. */
  | { readonly action: 'stream'; readonly columns: readonly string[]; readonly heldBack: readonly string[] }
  | { readonly action: 'copy'; readonly reason: KindReason; readonly columns: readonly string[] }
  | { readonly action: 'hold'; readonly reason: KindReason; readonly detail: string };

/** `publication` null: the origin has none. Kinds that only the origin has are not in the result: they wait there. */
export function decideKinds(
  copies: ReadonlyMap<string, readonly TableColumn[]>,
  publication: Publication | null,
  stored: ReadonlyMap<string, StoredKind>,
): Map<string, KindDecision> {
  return new Map(
    [...copies].map(([kind, columns]) => [kind, decideKind(kind, columns, publication, stored.get(kind))]),
  );
}

function decideKind(
  kind: string,
  copy: readonly TableColumn[],
  publication: Publication | null,
  stored: StoredKind | undefined,
): KindDecision {
  const table = publication?.tables.get(kind);
  if (!publication || !table) {
    return publication?.kinds.has(kind) === false
      ? hold('waiting-for-peer', 'the other site does not know this kind yet: define it there')
      : hold('not-published', 'ALTER PUBLICATION ... ADD TABLE puts it back at the origin');
  }
  if (!publication.isComplete) {
    return hold(
      'publication-incomplete',
      `ALTER PUBLICATION ... SET (publish = 'insert, update, delete, truncate') at the origin`,
    );
  }
  if (table.replicaIdentity === 'n' || table.replicaIdentity === 'i') {
    return hold('replica-identity', 'ALTER TABLE ... REPLICA IDENTITY DEFAULT at the origin');
  }
  const mismatch = findMismatch(copy, table.columns);
  if (mismatch !== null) return hold('schema-mismatch', mismatch);
  return compareWithStored(copy, table, stored);
}

function compareWithStored(
  copy: readonly TableColumn[],
  table: PublishedTable,
  stored: StoredKind | undefined,
): KindDecision {
  const here = new Set(copy.map(({ name }) => name));
  const columns = table.columns.map(({ name }) => name).filter((name) => here.has(name));
  const anew = (reason: KindReason): KindDecision => ({ action: 'copy', reason, columns });
  if (!stored || stored.source === null) return anew('never-synchronised');
  if (stored.state !== 'streaming') return anew('changes-missed');
  if (stored.source !== table.source) return anew('publication-changed');
  if (columns.some((name) => !stored.columns.includes(name))) return anew('columns-changed');
  return {
    action: 'stream',
    columns,
    heldBack: table.columns.map(({ name }) => name).filter((name) => !here.has(name)),
  };
}

const hold = (reason: KindReason, detail: string): KindDecision => ({ action: 'hold', reason, detail });

/** Why rows of the origin cannot be applied to the copy; a column that one of them lacks is no reason. */
export function findMismatch(copy: readonly TableColumn[], origin: readonly TableColumn[]): string | null {
  const there = new Map(origin.map((column) => [column.name, column]));
  for (const { name, type, isKey } of copy) {
    const column = there.get(name);
    if (!column) {
      if (isKey) return `key column ${name} is not at the origin: bring both sites to one version`;
      continue;
    }
    if (column.type !== type) return `column ${name} is ${column.type} at the origin and ${type} here`;
    if (column.isKey !== isKey) return `column ${name} is part of the key at one site only`;
  }
  const here = new Set(copy.map(({ name }) => name));
  const missing = origin.find(({ name, isKey }) => isKey && !here.has(name));
  return missing ? `key column ${missing.name} of the origin is not here` : null;
}
