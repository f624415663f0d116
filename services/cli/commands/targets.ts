import { createInterface } from 'node:readline';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { withoutPassword } from '../../../shared/domain/url-password.ts';
import type { Database, Queryable } from '../../../shared/postgres/database.ts';
import { readTargets, type TargetStatus } from '../../../shared/postgres/directions/targets.ts';
import { listKinds } from '../../../shared/postgres/kinds/define-kind.ts';
import { compareTarget } from '../../../shared/targets/compare-target.ts';
import { checkTargetUrl, openSink } from '../../../shared/targets/open-sink.ts';
import { type Command, WrongUsage } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../table.ts';
import { isTargetWell, targetTable } from '../target-table.ts';

const NAME = [{ name: 'NAME', description: 'the target' }];

export const targetsAdd: Command = {
  name: 'targets add',
  changes: true,
  summary: 'feed a database elsewhere with the freshest of chosen tables, one way',
  arguments: [
    { name: 'NAME', description: 'a name for it' },
    {
      name: 'URL',
      description: 'mariadb:// or postgres://user:password@host/database; - reads it from standard input',
    },
  ],
  options: [
    { flags: '--table <name>', description: 'a table to feed it with; default lastcalls', repeatable: true },
  ],
  examples: ['lastcall targets add billing - --table lastcalls --table forwardings <billing-url'],
  async run(input, context) {
    const name = input.text('NAME');
    const url = input.text('URL') === '-' ? await firstLine(context) : input.text('URL');
    checkTargetUrl(url);
    const kinds = input.list('table').length > 0 ? input.list('table') : ['lastcalls'];
    const database = await context.database('owner');
    await mustBeState(database, kinds);
    // Reached from here, or refused before anything is written.
    await tryTarget(url);
    const [added] = await database.query(
      `INSERT INTO lastcall.targets (target, url, kinds) VALUES ($1, $2, $3)
       ON CONFLICT (target) DO NOTHING RETURNING target`,
      [name, url, kinds],
    );
    if (!added)
      throw new LastcallError('INVALID_VALUE', {
        details: {
          message: `there is a target ${name}: lastcall targets remove ${name}, or choose another name`,
        },
      });
    return {
      data: { target: name, url: withoutPassword(url), tables: kinds },
      text: `target ${name} added at ${withoutPassword(url)}; the replicator fills it now: lastcall targets list`,
    };
  },
};

export const targetsList: Command = {
  name: 'targets list',
  summary: 'the targets of this site and how they are doing; exit status 3 unless all stream',
  async run(_input, context) {
    const targets = await readTargets(await context.database());
    const exit = targets.every(isTargetWell) ? 0 : 3;
    return { data: targets, text: targets.length === 0 ? 'no targets' : targetTable(targets), exit };
  },
};

export const targetsShow: Command = {
  name: 'targets show',
  summary: 'one target: where it is, what it gets, how it is doing',
  arguments: NAME,
  async run(input, context) {
    const database = await context.database('owner');
    const target = await namedTarget(database, input.text('NAME'));
    const url = withoutPassword(await urlOf(database, target.target));
    return { data: { ...target, url }, text: `${url}\n${targetTable([target])}` };
  },
};

export const targetsRemove: Command = {
  name: 'targets remove',
  changes: true,
  summary: 'feed it no more; what it holds stays as it is',
  arguments: NAME,
  async run(input, context) {
    const database = await context.database('owner');
    const { target } = await namedTarget(database, input.text('NAME'));
    await database.query('DELETE FROM lastcall.targets WHERE target = $1', [target]);
    return { data: { target }, text: `target ${target} removed; its tables stay as they are` };
  },
};

export const targetsResync: Command = {
  name: 'targets resync',
  changes: true,
  summary: 'make its tables equal to the freshest of this site again',
  arguments: NAME,
  async run(input, context) {
    const database = await context.database('owner');
    const { target } = await namedTarget(database, input.text('NAME'));
    await database.query(
      'UPDATE lastcall.targets SET resync_requested_at = clock_timestamp() WHERE target = $1',
      [target],
    );
    return { data: { target }, text: `target ${target} will be resynchronised` };
  },
};

export const targetsCompare: Command = {
  name: 'targets compare',
  summary: 'whether it holds what this site has; safe while it is fed; exit status 3 when not',
  arguments: NAME,
  async run(input, context) {
    const database = await context.database('owner');
    const target = await namedTarget(database, input.text('NAME'));
    const { replicatorUrl } = context.config().config.postgres;
    if (replicatorUrl === null)
      throw new LastcallError('INVALID_VALUE', {
        details: { message: 'comparing needs postgres.replicatorUrl in the configuration' },
      });
    const tables = await compareTarget({
      sourceUrl: replicatorUrl,
      targetUrl: await urlOf(database, target.target),
      kinds: target.kinds,
      signal: context.signal,
    });
    const equal = tables.every(({ differing }) => differing === 0);
    const rows = tables.map(({ table: name, rows: count, differing, differingKeys }) => [
      name,
      count,
      differing,
      differingKeys.slice(0, 5).join(' '),
    ]);
    return {
      data: { equal, tables },
      text: table(['table', 'rows', 'differing', 'keys'], rows),
      exit: equal ? 0 : 3,
    };
  },
};

async function namedTarget(database: Queryable, name: string): Promise<TargetStatus> {
  const targets = await readTargets(database);
  const found = targets.find(({ target }) => target === name);
  if (found) return found;
  throw new LastcallError('TARGET_UNKNOWN', {
    details: { target: name, known: targets.map(({ target }) => target).join(', ') },
  });
}

async function urlOf(database: Database, target: string): Promise<string> {
  const [row] = await database.query<{ url: string }>('SELECT url FROM lastcall.targets WHERE target = $1', [
    target,
  ]);
  return row?.url ?? '';
}

async function mustBeState(database: Queryable, names: readonly string[]): Promise<void> {
  const known = (await listKinds(database))
    .filter(({ purpose }) => purpose === 'state')
    .map(({ kind }) => kind);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown)
    throw new LastcallError('TABLE_UNKNOWN', { details: { table: unknown, known: known.join(', ') } });
}

async function tryTarget(url: string): Promise<void> {
  try {
    const sink = await openSink(url);
    await sink.close();
  } catch (cause) {
    if (cause instanceof LastcallError) throw cause;
    throw new LastcallError('TARGET_UNREACHABLE', { cause });
  }
}

async function firstLine({ stdin }: Context): Promise<string> {
  for await (const line of createInterface({ input: stdin })) return line.trim();
  throw new WrongUsage('the URL is empty');
}
