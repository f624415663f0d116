import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { initSite } from '../../shared/postgres/init-site.ts';
import { ringDirectory } from '../support/kept-calls.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

export const ADMIN_TOKEN = 'admin-token-of-the-tests';
export const READ_TOKEN = 'read-token-of-the-tests!';
export const RECORD_TOKEN = 'record-token-of-the-tests';

/** Sites a and b as two databases of one server: what tests need that replicate nothing. */
export interface TwoSites {
  readonly server: PostgresServer;
  /** As lastcall_app; `role` another one's. */
  url(site: string, role?: 'app' | 'replicator' | 'coordinator'): string;
  ownerUrl(site: string): string;
  /** The content of the site's configuration, with `overrides` at its top level. */
  config(site: string, overrides?: Record<string, unknown>): string;
  /** That content in a file. */
  configFile(site: string, overrides?: Record<string, unknown>): string;
}

const PASSWORDS = { app: 'app-pw', replicator: 'replicator-pw', coordinator: 'coordinator-pw' } as const;

export async function startTwoSites(): Promise<TwoSites> {
  const server = await startPostgres();
  const folder = mkdtempSync(join(tmpdir(), 'lastcall-two-sites-'));
  const rings = ringDirectory();
  const database = (site: string) => `site_${site}`;
  const url = (site: string, role: keyof typeof PASSWORDS = 'app') =>
    server.url(database(site), `lastcall_${role}`, PASSWORDS[role]);
  for (const [site, peer] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    await server.createDatabase(database(site));
    await initSite({ ownerUrl: server.url(database(site)), site, peers: [peer], passwords: PASSWORDS });
  }
  const config = (site: string, overrides: Record<string, unknown> = {}) => {
    const peer = site === 'a' ? 'b' : 'a';
    return stringify({
      site,
      domain: 'lastcall.test',
      postgres: {
        url: url(site),
        replicatorUrl: url(site, 'replicator'),
        coordinatorUrl: url(site, 'coordinator'),
        ownerUrl: server.url(database(site)),
      },
      redis: { url: 'redis://127.0.0.1:1' },
      journal: { ringDirectory: rings },
      api: {
        listen: '127.0.0.1:1',
        tokens: [
          { token: READ_TOKEN, role: 'read' },
          { token: RECORD_TOKEN, role: 'record' },
          { token: ADMIN_TOKEN, role: 'admin' },
        ],
      },
      peers: { [peer]: { replicatorUrl: url(peer, 'replicator'), coordinatorUrl: url(peer, 'coordinator') } },
      ...overrides,
    });
  };
  return {
    server,
    url,
    ownerUrl: (site) => server.url(database(site)),
    config,
    configFile: (site, overrides = {}) => {
      const file = join(folder, `${site}-${Object.keys(overrides).join('-')}.yaml`);
      writeFileSync(file, config(site, overrides));
      return file;
    },
  };
}
