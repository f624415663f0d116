import { LastcallError } from '../../../shared/domain/errors.ts';
import { readSites } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import type { Command } from '../command.ts';
import { table } from '../table.ts';
import { site } from '../value-forms.ts';

export const sitesList: Command = {
  name: 'sites list',
  summary: 'list the sites this database knows',
  async run(_input, context) {
    const sites = await readSites(await context.database());
    const { peers } = context.config().config;
    const data = sites.map((entry) => ({ ...entry, configured: entry.own || entry.site in peers }));
    const rows = data.map((entry) => [entry.site, entry.own ? 'this site' : 'copy', entry.configured]);
    return { data, text: table(['site', 'tables', 'configured'], rows) };
  },
};

export const sitesAdd: Command = {
  name: 'sites add',
  changes: true,
  summary: "make the tables that hold a new site's copy here; run it at every site",
  arguments: [{ name: 'SITE', description: 'the new site', parse: site }],
  async run(input, context) {
    const name = input.text('SITE');
    const { config } = context.config();
    if (name === config.site) {
      throw new LastcallError('INVALID_VALUE', {
        details: { message: `${name} is this site; name another one` },
      });
    }
    const database = await context.database('owner');
    const known = (await readSites(database)).some((entry) => entry.site === name);
    await database.query('SELECT lastcall.add_site($1)', [name]);
    const next = name in config.peers ? '' : `\nnext: add peers.${name} to ${context.config().file}`;
    return {
      data: { site: name, added: !known },
      text: `site ${name} ${known ? 'was there already' : 'added'}${next}`,
    };
  },
};
