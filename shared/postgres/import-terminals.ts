import type { Terminal } from '../domain/terminal.ts';
import type { Queryable } from './database.ts';

const BUDGET_MS = 60_000;

interface Follower {
  readonly kind: string;
  readonly followsBy: string;
}

/**
 * Adds those of `terminals` of whom nothing is known at all, by one statement straight into this site's table, and returns the
 * indexes of the others: the view's trigger must judge them one by one. Within a transaction, which it lets no other writer
 * of this site interrupt. No two of `terminals` may share an id or a name.
 */
export async function addFreshTerminals(
  transaction: Queryable,
  site: string,
  terminals: readonly Terminal[],
): Promise<number[]> {
  await transaction.query(`SELECT pg_advisory_xact_lock(hashtext('lastcall.terminals'))`);
  const known = await knownIndexes(transaction, terminals);
  const fresh = terminals.filter((_, index) => !known.has(index));
  const column = <K extends keyof Terminal>(key: K) => fresh.map((terminal) => terminal[key]);
  await transaction.query(
    `INSERT INTO lastcall.terminals_${site} (terminal_id, user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled)
       SELECT id, user_id, username, aor, md5, sha256, number, number_id, string_to_array(features, ','), enabled
       FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
         $10::boolean[]) AS t (id, user_id, username, aor, md5, sha256, number, number_id, features, enabled)`,
    [
      column('terminalId'),
      column('userId'),
      column('username'),
      column('aor'),
      column('ha1Md5'),
      column('ha1Sha256'),
      column('number'),
      column('numberId'),
      column('features').map((features) => features.join(',')),
      column('enabled'),
    ],
    BUDGET_MS,
  );
  return [...known].sort((x, y) => x - y);
}

/** Whose id or name stands in some site's table, or whose id has a mark or rows of a kind that follows terminals (S6). */
async function knownIndexes(
  transaction: Queryable,
  terminals: readonly Terminal[],
): Promise<ReadonlySet<number>> {
  const followers = await transaction.query<Follower>(
    `SELECT kind, follows_by AS "followsBy" FROM lastcall.kinds WHERE follows = 'terminals'`,
  );
  const followed = followers.map(
    ({ followsBy, kind }) =>
      `UNION SELECT t.i FROM given t JOIN lastcall."${kind}_by_site" f ON f."${followsBy}" = t.id`,
  );
  const rows = await transaction.query<{ i: number }>(
    `WITH given AS MATERIALIZED (
       SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS t (id, username, number, aor, i))
     SELECT t.i FROM given t JOIN lastcall.terminals_by_site k ON k.terminal_id = t.id
     UNION SELECT t.i FROM given t JOIN lastcall.terminals_by_site k ON k.username = t.username
     UNION SELECT t.i FROM given t JOIN lastcall.terminals_by_site k ON k.number = t.number
     UNION SELECT t.i FROM given t JOIN lastcall.terminals_by_site k ON k.aor = t.aor
     UNION SELECT t.i FROM given t JOIN lastcall.marks_by_site m ON m.key = t.id::text
     ${followed.join('\n')}`,
    [
      terminals.map(({ terminalId }) => terminalId),
      terminals.map(({ username }) => username),
      terminals.map(({ number }) => number),
      terminals.map(({ aor }) => aor),
    ],
  );
  return new Set(rows.map(({ i }) => Number(i) - 1));
}
