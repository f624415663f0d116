import { LastcallError } from '../../../shared/domain/errors.ts';
import { initSite, type LoginRole } from '../../../shared/postgres/init-site.ts';
import { translatePostgresError } from '../../../shared/postgres/postgres-error.ts';
import { parsePostgresUrl } from '../../../shared/postgres/postgres-url.ts';
import type { Command } from '../command.ts';

export const init: Command = {
  name: 'init',
  changes: true,
  summary: "make the database this site's: schema, roles, tables of every site; safe to repeat",
  async run(_input, context) {
    const { site, peers, postgres } = context.config().config;
    if (!postgres.ownerUrl) {
      throw new LastcallError('INVALID_VALUE', {
        details: { message: 'init needs postgres.ownerUrl in the configuration' },
      });
    }
    const { url, replicatorUrl, coordinatorUrl, peerUrl } = postgres;
    const result = await initSite({
      ownerUrl: postgres.ownerUrl,
      site,
      peers: Object.keys(peers),
      passwords: {
        ...passwordIn('app', url),
        ...passwordIn('replicator', replicatorUrl),
        ...passwordIn('coordinator', coordinatorUrl),
        ...passwordIn('peer', peerUrl),
      },
    }).catch((error: unknown) => {
      throw translatePostgresError(error);
    });
    const applied =
      result.migrations.length === 0 ? 'nothing new to apply' : `applied ${result.migrations.join(', ')}`;
    return { data: result, text: `site ${site}: ${applied}; sites ${result.sites.join(', ')}` };
  },
};

/** The password that the services will log in with, when the URL holds one and is of the role. */
function passwordIn(role: LoginRole, url: string | null | undefined): Record<string, string> {
  if (!url) return {};
  const { user, password } = parsePostgresUrl(url);
  return user === `lastcall_${role}` && password !== '' ? { [role]: password } : {};
}
