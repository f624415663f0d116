import { LastcallError } from '../../../shared/domain/errors.ts';
import { hostLabel } from '../../../shared/postgres/find-primary.ts';
import { translatePostgresError } from '../../../shared/postgres/postgres-error.ts';
import { salvageServer } from '../../../shared/postgres/repair/salvage-server.ts';
import { connectToPrimary } from '../../../shared/postgres/replication/primary.ts';
import type { Connection } from '../../../shared/postgres/wire/connection.ts';
import type { Command } from '../command.ts';

export const salvage: Command = {
  name: 'salvage',
  changes: true,
  summary:
    'bring back what only an old server of this site holds, before it is rejoined or wiped; it is only read',
  options: [
    {
      flags: '--from <url>',
      description: 'the old server, as lastcall_coordinator; it may be fenced, read-only or a standby',
      required: true,
    },
  ],
  examples: ['lastcall salvage --from postgres://lastcall_coordinator:PASSWORD@old-host/lastcall'],
  async run(input, context) {
    const { site, postgres } = context.config().config;
    const { coordinatorUrl } = postgres;
    if (!coordinatorUrl) throw refused('salvage needs postgres.coordinatorUrl in the configuration');
    const from = input.text('from');
    const options = { applicationName: 'lastcall-salvage' };
    const old = await connectToPrimary(from, { ...options, accept: 'any' }).catch(translated);
    const primary = await connectToPrimary(coordinatorUrl, options).catch(async (cause: unknown) => {
      await old.close();
      return translated(cause);
    });
    const stop = (): void => [old, primary].forEach((connection) => void connection.destroy());
    context.signal.addEventListener('abort', stop);
    try {
      await refuseWrongServer(site, old, primary);
      const salvaged = await salvageServer(site, { old, primary });
      const { marks, terminals, rows } = salvaged;
      return {
        data: { site, from: hostLabel(from), ...salvaged },
        text: `site ${site}: ${rows} rows, ${terminals} terminals and ${marks} forget marks brought back from ${hostLabel(from)}`,
      };
    } finally {
      context.signal.removeEventListener('abort', stop);
      await Promise.all([old.close(), primary.close()]);
    }
  },
};

/** Of another site, or the primary itself: then there is nothing to bring back, and the operator means another one. */
async function refuseWrongServer(site: string, old: Connection, primary: Connection): Promise<void> {
  const [there, here] = await Promise.all([whichServer(old), whichServer(primary)]);
  if (there.site !== site)
    throw refused(`--from is a database of site ${there.site}, and this is site ${site}`);
  if (there.server === here.server)
    throw refused(`--from is the primary of site ${site} itself: name the server that it took the place of`);
}

async function whichServer(connection: Connection): Promise<{ site: string | null; server: string }> {
  const [result] = await connection.simple(
    `SELECT lastcall.this_site() AS site, concat_ws(' ', pg_postmaster_start_time(), current_setting('port'), current_database()) AS server`,
  );
  const row = result?.rows[0];
  return { site: row?.['site'] ?? null, server: row?.['server'] ?? '' };
}

const translated = (cause: unknown): never => {
  throw translatePostgresError(cause);
};

const refused = (message: string): LastcallError =>
  new LastcallError('INVALID_VALUE', { details: { message } });
