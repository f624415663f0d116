import { stringify } from 'yaml';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Queryable } from '../../../shared/postgres/database.ts';
import { listKinds, removeKind } from '../../../shared/postgres/kinds/define-kind.ts';
import type { Kind } from '../../../shared/postgres/kinds/kind.ts';
import { qualified } from '../../../shared/postgres/kinds/kind-sql.ts';
import type { Command } from '../command.ts';
import { table } from '../table.ts';
import { describeKind } from '../tables/table-description.ts';

export const tablesList: Command = {
  name: 'tables list',
  summary: "the tables that this site keeps: Lastcall's own and yours",
  async run(_input, context) {
    const kinds = (await listKinds(await context.database())).filter(isShown);
    const data = kinds.map((kind) => ({ ...describeKind(kind), purpose: kind.purpose, epoch: kind.epoch }));
    const rows = kinds.map((kind) => [
      kind.kind,
      kind.key.join(', '),
      kind.groups.map(({ name }) => name).join(', '),
      kind.follows?.kind,
      kind.rowFilter,
    ]);
    return { data, text: table(['table', 'key', 'groups', 'follows', 'where'], rows) };
  },
};

const NAME = [{ name: 'NAME', description: 'as `tables list` shows it' }];

export const tablesShow: Command = {
  name: 'tables show',
  summary: 'one table: what --file of `tables add` takes, its rows of each site, and how each copy is doing',
  arguments: NAME,
  examples: ['lastcall tables show forwardings --json >forwardings.json'],
  async run(input, context) {
    const database = await context.database();
    const kind = await namedKind(database, input.text('NAME'));
    const description = describeKind(kind);
    const sites = await sitesOf(database, kind.kind);
    const shown = sites.map(({ site, rows, state, reason, detail }) => [site, rows, state, reason, detail]);
    return {
      data: { description, epoch: kind.epoch, sites },
      text: `${stringify(description)}\n${table(['site', 'rows', 'state', 'reason', ''], shown)}`,
    };
  },
};

export const tablesRemove: Command = {
  name: 'tables remove',
  changes: true,
  summary: 'take a table of your own away at this site, with its copies; run it at every site',
  arguments: NAME,
  options: [{ flags: '--with-rows', description: 'also when this site has rows in it, which are lost' }],
  async run(input, context) {
    const database = await context.database('owner');
    const { kind } = await namedKind(database, input.text('NAME'));
    const own = (await sitesOf(database, kind)).find(({ state }) => state === 'own');
    if (own && own.rows > 0 && !input.flag('withRows')) {
      throw new LastcallError('INVALID_VALUE', {
        details: {
          message: `site ${own.site} has ${own.rows} rows in ${kind}: --with-rows removes them too`,
        },
      });
    }
    await removeKind(database, kind);
    return {
      data: { table: kind, rows: own?.rows ?? 0 },
      text: `table ${kind} removed at site ${own?.site}\nnext: the same at every other site`,
    };
  },
};

const isShown = ({ purpose }: Kind): boolean => purpose === 'state' || purpose === 'provisioning';

async function namedKind(database: Queryable, name: string): Promise<Kind> {
  const kinds = (await listKinds(database)).filter(isShown);
  const kind = kinds.find((each) => each.kind === name);
  if (kind) return kind;
  throw new LastcallError('TABLE_UNKNOWN', {
    details: { table: name, known: kinds.map((each) => each.kind).join(', ') },
  });
}

interface TableAtSite {
  readonly site: string;
  readonly rows: number;
  /** `own`, or that of the copy. */
  readonly state: string;
  readonly reason: string | null;
  readonly detail: string | null;
}

/** This site's own table first. */
function sitesOf(database: Queryable, kind: string): Promise<TableAtSite[]> {
  return database.query<TableAtSite>(
    `SELECT s.site, coalesce(t.rows, 0)::int AS rows, CASE WHEN s.own THEN 'own' ELSE coalesce(k.state, 'unknown') END AS state,
       k.reason, k.detail
     FROM lastcall.sites s
       LEFT JOIN (SELECT site, count(*) AS rows FROM ${qualified(`${kind}_by_site`)} GROUP BY site) t USING (site)
       LEFT JOIN lastcall.replication_kinds k ON k.peer = s.site AND k.kind = $1
     ORDER BY s.own DESC, s.site`,
    [kind],
  );
}
