import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SiteSecrets } from '../../services/call-control/site-secrets.ts';
import { initSite } from '../../shared/postgres/init-site.ts';
import { makeSecrets, readSecrets, rotateSecrets } from '../../shared/postgres/secrets.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { SecretCopies } from '../../shared/redis/secret-copies.ts';
import { NonceSource } from '../../shared/sip/digest/nonce.ts';
import { withClient } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { type StartedStore, startStore } from './started-store.ts';
import { startTwoSites } from './two-sites.ts';

const log = pino({ level: 'silent' });

describe('the secrets in PostgreSQL', () => {
  let store: StartedStore;
  beforeAll(async () => {
    store = await startStore();
  });
  afterAll(() => store.stop());

  it('init makes one for each use, 32 random bytes, and keeps them when it runs again', async () => {
    const first = await readSecrets(store.database);
    expect([...first.keys()].sort()).toEqual(['dialogs', 'flows', 'nonces']);
    expect(new Set([...first.values()].map(({ current }) => Buffer.from(current).toString('hex'))).size).toBe(
      3,
    );
    for (const { current, previous } of first.values())
      expect([current.length, previous]).toEqual([32, null]);
    await initSite({ ownerUrl: store.site.url('owner'), site: 'a', peers: ['b'] });
    expect(await readSecrets(store.database)).toEqual(first);
  });

  it('racing starters agree on one value', async () => {
    await store.site.query('owner', 'DELETE FROM lastcall.secrets');
    await Promise.all(
      [1, 2, 3, 4].map(() => withClient(store.site.url('owner'), (client) => makeSecrets(client))),
    );
    const made = await readSecrets(store.database);
    expect([...made.values()].map(({ previous }) => previous)).toEqual([null, null, null]);
  });

  it('the application reads them and can neither change nor rotate them; a shorter one is refused', async () => {
    await expect(rotateSecrets(store.database, ['dialogs'])).rejects.toMatchObject({
      code: 'DATABASE_PERMISSION_DENIED',
    });
    await expect(
      store.site.query('owner', `UPDATE lastcall.secrets SET value = 'short'`),
    ).rejects.toMatchObject({ code: '23514' });
  });

  it('they are in no publication: another site never has them', async () => {
    const published = await store.site.query(
      'owner',
      `SELECT FROM pg_publication_tables WHERE tablename = 'secrets'`,
    );
    expect(published).toEqual([]);
  });
});

describe('what call-control signs with', () => {
  let store: StartedStore;
  let server: RedisServer;
  let redis: RedisConnection;
  const started: SiteSecrets[] = [];

  beforeAll(async () => {
    [store, server] = await Promise.all([startStore(), startRedis()]);
    redis = await connectRedis(server.url);
  });
  afterAll(async () => {
    for (const one of started) one.stop();
    await redis.close();
    await Promise.all([store.stop(), server.remove()]);
  });

  const open = (read = () => readSecrets(store.database)) => {
    const secrets = new SiteSecrets({ read, copies: new SecretCopies(redis, 'a'), log, everyMs: 20 });
    started.push(secrets);
    return secrets;
  };
  const rotate = () =>
    withClient(store.site.url('owner'), (client) =>
      rotateSecrets(
        { query: async (text, values) => (await client.query(text, values as unknown[])).rows as never },
        ['nonces'],
      ),
    );

  it('a process that starts while PostgreSQL is away takes what its siblings left in Redis', async () => {
    const sibling = open();
    await sibling.refresh();
    const late = open(() => Promise.reject(new Error('PostgreSQL is away')));
    const random = late.keysFor('dialogs')().current;
    await late.refresh();
    expect(late.keysFor('dialogs')().current).toEqual(sibling.keysFor('dialogs')().current);
    // What it signed in its first moments stays good.
    expect(late.keysFor('dialogs')().previous).toEqual(random);
  });

  it('without PostgreSQL and a copy it signs with random ones, and a damaged copy counts as none', async () => {
    const nobody = (site: string) =>
      new SiteSecrets({
        read: () => Promise.reject(new Error('PostgreSQL is away')),
        copies: new SecretCopies(redis, site),
        log,
      });
    await redis.client.set('lastcall:{z}:secrets', '{"dialogs":');
    for (const secrets of [nobody('y'), nobody('z')]) {
      const before = secrets.keysFor('dialogs')();
      await secrets.refresh();
      expect(secrets.keysFor('dialogs')()).toEqual(before);
      expect(before.current.length).toBe(32);
    }
  });

  it('a running process takes a rotation: what was signed before is accepted until the next one', async () => {
    const secrets = open();
    await secrets.refresh();
    secrets.start();
    const keys = secrets.keysFor('nonces');
    const nonce = new NonceSource(keys, 'lastcall.test').issue(1, '192.0.2.1');
    const isOurs = () => new NonceSource(keys, 'lastcall.test').issuedAt(nonce, '192.0.2.1') !== undefined;
    const before = keys().current;
    expect(isOurs()).toBe(true);
    await rotate();
    await waitFor(() => !Buffer.from(keys().current).equals(before), { what: 'the rotation' });
    expect([isOurs(), keys().previous]).toEqual([true, before]);
    await rotate();
    await waitFor(() => !isOurs(), { what: 'the second rotation' });
  });
});

describe('lastcall secrets', () => {
  it('rotates one or all and prints when, never what', async () => {
    const sites = await startTwoSites();
    try {
      const at = (...argv: string[]) => runCli([...argv, '--config', sites.configFile('a')]);
      const values = () =>
        withClient(sites.ownerUrl('a'), async (client) => {
          const { rows } = await client.query<{ name: string; value: Buffer; previous: Buffer | null }>(
            'SELECT name, value, previous FROM lastcall.secrets ORDER BY name',
          );
          return new Map(rows.map((row) => [row.name, row]));
        });
      const before = await values();
      const one = await at('secrets', 'rotate', 'dialogs', '--json');
      expect(JSON.parse(one.out)).toMatchObject([{ name: 'dialogs', hasPrevious: true }]);
      const after = await values();
      expect(after.get('dialogs')?.previous).toEqual(before.get('dialogs')?.value);
      expect(after.get('nonces')).toEqual(before.get('nonces'));
      expect((await at('secrets', 'rotate')).out).toMatch(/dialogs.*flows.*nonces.*within a minute/s);
      expect((await at('secrets', 'rotate', 'passwords')).exit).toBe(2);
      const listed = await at('secrets', 'list', '--json');
      expect(JSON.parse(listed.out).map(({ name }: { name: string }) => name)).toEqual([
        'dialogs',
        'flows',
        'nonces',
      ]);
      for (const { value } of (await values()).values())
        for (const text of [value.toString('hex'), value.toString('base64')])
          expect(listed.out).not.toContain(text);
    } finally {
      await sites.server.remove();
    }
  });
});
