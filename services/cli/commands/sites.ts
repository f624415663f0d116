import { LastcallError } from '../../../shared/domain/errors.ts';
import { readSites } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import { slotName } from '../../../shared/postgres/replication/publication.ts';
import { nextSlotName } from '../../../shared/postgres/replication/slot-commands.ts';
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

export const sitesRemove: Command = {
  name: 'sites remove',
  changes: true,
  summary:
    'forget a site that is gone for good: its copies, its slot, its vote on forget marks; run it at every other site',
  arguments: [{ name: 'SITE', description: 'the site that is gone', parse: site }],
  async run(input, context) {
    const name = input.text('SITE');
    const { config, file } = context.config();
    const database = await context.database('owner');
    const known = await readSites(database);
    if (!known.some((entry) => entry.site === name && !entry.own))
      throw new LastcallError('SITE_UNKNOWN', { details: { site: name } });
    // First the slot, which holds WAL for a reader that never comes; one that is read belongs to a site that is not gone.
    await database.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = ANY ($1) AND database = current_database()`,
      [[slotName(name), nextSlotName(slotName(name))]],
    );
    await database.query('SELECT lastcall.remove_site($1)', [name]);
    const next = name in config.peers ? `\nnext: remove peers.${name} from ${file}` : '';
    return { data: { site: name, removed: true }, text: `site ${name} removed${next}` };
  },
};
