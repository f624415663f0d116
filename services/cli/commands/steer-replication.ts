import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Queryable } from '../../../shared/postgres/database.ts';
import { requestResync, setPaused } from '../../../shared/postgres/directions/replication-control.ts';
import { readSites } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import type { Argument, Command } from '../command.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { site } from '../value-forms.ts';

const DIRECTION: readonly Argument[] = [
  { name: 'FROM', description: 'the site whose changes flow', parse: site },
  { name: 'TO', description: 'the site that copies them', parse: site },
];

export const resync: Command = {
  name: 'resync',
  changes: true,
  summary: "copy FROM's tables to TO anew; readers go on seeing the old copy until the new one is whole",
  arguments: DIRECTION,
  options: [{ flags: '--reason <text>', description: 'for the report', default: 'operator' }],
  run: (input, context) =>
    steer(input, context, 'resync', (database, from) => requestResync(database, from, input.text('reason'))),
};

export const pause: Command = {
  name: 'pause',
  changes: true,
  summary: 'stop the flow from FROM to TO; the slot keeps its place',
  arguments: DIRECTION,
  run: (input, context) =>
    steer(input, context, 'pause', (database, from) => setPaused(database, from, true)),
};

export const resume: Command = {
  name: 'resume',
  changes: true,
  summary: 'let the flow from FROM to TO go on',
  arguments: DIRECTION,
  run: (input, context) =>
    steer(input, context, 'resume', (database, from) => setPaused(database, from, false)),
};

/** The subscriber's database holds what is asked of a direction; its replicator hears of it at once. */
async function steer(
  input: Input,
  context: Context,
  action: 'resync' | 'pause' | 'resume',
  write: (database: Queryable, from: string) => Promise<void>,
) {
  const [from, to] = [input.text('FROM'), input.text('TO')];
  if (from === to)
    throw new LastcallError('INVALID_VALUE', { details: { message: 'FROM and TO are the same site' } });
  const own = to === context.config().config.site;
  const database = await (own ? context.database() : context.peerDatabase(to));
  const sites = (await readSites(database)).map((entry) => entry.site);
  if (!sites.includes(from))
    throw new LastcallError('SITE_UNKNOWN', { details: { site: from, known: sites } });
  await write(database, from);
  return {
    data: { from, to, action, accepted: true },
    text: `${action} of ${from} > ${to} is asked for; see lastcall status`,
  };
}
