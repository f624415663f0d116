import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Binding } from '../../shared/domain/binding.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { Location } from '../../shared/redis/location.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let server: RedisServer;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url);
});
afterAll(async () => {
  await redis.close();
  await server.remove();
});

const binding = (contact: string, over: Partial<Binding> = {}): Binding => ({
  contact,
  contactKey: contact,
  callId: `call-${contact}`,
  cseq: 1,
  registeredAtMs: Date.now(),
  expiresAtMs: Date.now() + 60_000,
  q: 1_000,
  instance: null,
  regId: null,
  flow: `flow-of-${contact}`,
  owner: 'sip:127.0.0.1:5060;lr',
  received: 'udp:127.0.0.1:5060',
  path: [],
  userAgent: null,
  ...over,
});
const location = (maxContacts = 10) => new Location({ redis, site: 'a', maxContacts });
const contacts = async (of: Location, aor: string) =>
  (await of.find(aor)).map((found) => found.contact).sort();

describe('RFC 3261 section 10: bindings', () => {
  it('10.3 several contacts of one address of record stand side by side, the preferred first', async () => {
    const aor = 'sip:several@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one', { q: 300 }), binding('sip:two', { q: 900 })] });
    expect((await store.find(aor)).map((found) => found.contact)).toEqual(['sip:two', 'sip:one']);
  });

  it('10.3 an expiry in the past removes that contact only', async () => {
    const aor = 'sip:removed@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one'), binding('sip:two')] });
    await store.change(aor, { bindings: [binding('sip:one', { cseq: 2, expiresAtMs: 0 })] });
    expect(await contacts(store, aor)).toEqual(['sip:two']);
  });

  it('10.2.2 Contact: * removes them all', async () => {
    const aor = 'sip:star@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one'), binding('sip:two')] });
    await store.change(aor, { removeAll: true, callId: 'other', cseq: 1 });
    expect(await store.find(aor)).toEqual([]);
  });

  it('10.3 step 7 an older CSeq of the same Call-ID changes nothing', async () => {
    const aor = 'sip:order@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one', { cseq: 5 })] });
    const outcome = await store.change(aor, { bindings: [binding('sip:one', { cseq: 4, expiresAtMs: 0 })] });
    expect(outcome.kind).toBe('out-of-order');
    expect(await contacts(store, aor)).toEqual(['sip:one']);
  });

  it('RFC 5626 the same instance and reg-id replaces its contact after a reboot', async () => {
    const aor = 'sip:instance@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:old', { instance: 'urn:uuid:1', regId: 1 })] });
    await store.change(aor, { bindings: [binding('sip:new', { instance: 'urn:uuid:1', regId: 1 })] });
    expect(await contacts(store, aor)).toEqual(['sip:new']);
  });

  it('the oldest registration gives way to one more than allowed', async () => {
    const aor = 'sip:many@test';
    const store = location(2);
    const at = (registeredAtMs: number) => ({ registeredAtMs: Date.now() + registeredAtMs });
    await store.change(aor, { bindings: [binding('sip:one', at(2)), binding('sip:two', at(1))] });
    expect((await store.change(aor, { bindings: [binding('sip:three', at(3))] })).kind).toBe('ok');
    expect(await contacts(store, aor)).toEqual(['sip:one', 'sip:three']);
  });

  it('one request for more contacts than allowed changes nothing', async () => {
    const aor = 'sip:too-many@test';
    const store = location(2);
    const three = ['sip:one', 'sip:two', 'sip:three'].map((contact) => binding(contact));
    expect((await store.change(aor, { bindings: three })).kind).toBe('too-many');
    expect(await contacts(store, aor)).toEqual([]);
  });

  it('two processes that register at once lose neither contact', async () => {
    const aor = 'sip:race@test';
    const stores = Array.from({ length: 8 }, () => location(20));
    await Promise.all(
      stores.map((store, index) => store.change(aor, { bindings: [binding(`sip:phone${index}`)] })),
    );
    expect(await contacts(location(), aor)).toHaveLength(8);
  });

  it('a restarted process finds the bindings in Redis', async () => {
    const aor = 'sip:restart@test';
    await location().change(aor, { bindings: [binding('sip:one')] });
    expect(await contacts(location(), aor)).toEqual(['sip:one']);
  });
});

describe('Redis gone', () => {
  it('bindings are served and changed in memory, and written back when it returns', async () => {
    const aor = 'sip:outage@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:before')] });
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    expect(await contacts(store, aor)).toEqual(['sip:before']);
    expect((await store.change(aor, { bindings: [binding('sip:during')] })).kind).toBe('ok');
    expect(await contacts(store, aor)).toEqual(['sip:before', 'sip:during']);
    await server.start();
    await waitFor(async () => (await contacts(location(), aor)).length === 2, {
      what: 'the bindings in Redis again',
    });
  });

  it('a process that has just started knows every binding before the outage', async () => {
    const ofOwnSite = () => new Location({ redis, site: 'early', maxContacts: 10 });
    await ofOwnSite().change('sip:early@test', { bindings: [binding('sip:one')] });
    const restarted = ofOwnSite();
    await waitFor(() => restarted.size === 1, { what: 'the mirror' });
    await lose();
    expect(await contacts(restarted, 'sip:early@test')).toEqual(['sip:one']);
    await regain();
  });

  it('a process knows what its sibling registered and removed, though it never read it', async () => {
    const own = await startRedis();
    const connections = [await connectRedis(own.url), await connectRedis(own.url)] as const;
    const [here, sibling] = connections.map(
      (connection) => new Location({ redis: connection, site: 'a', maxContacts: 10 }),
    ) as [Location, Location];
    try {
      await sibling.change('sip:early@test', { bindings: [binding('sip:early')] });
      await waitFor(() => here.size === 1, { what: 'the early registration' });
      await sibling.change('sip:late@test', { bindings: [binding('sip:late')] });
      await waitFor(() => here.size === 2, { what: 'the late registration' });
      await sibling.change('sip:early@test', { removeAll: true, callId: 'other', cseq: 1 });
      await waitFor(() => here.size === 1, { what: 'the removal' });
      await own.kill();
      await waitFor(() => connections[0].state.state === 'down', { what: 'the loss to be seen' });
      expect(await contacts(here, 'sip:late@test')).toEqual(['sip:late']);
      expect(await here.find('sip:early@test')).toEqual([]);
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
      await own.remove();
    }
  });

  it('what two processes changed meanwhile is written back side by side', async () => {
    const aor = 'sip:both@test';
    const [one, two] = [location(), location()];
    await lose();
    await one.change(aor, { bindings: [binding('sip:one')] });
    await two.change(aor, { bindings: [binding('sip:two')] });
    await regain();
    await waitFor(async () => (await contacts(location(), aor)).length === 2, {
      what: 'both bindings in Redis',
    });
  });

  it('10.2.2 a contact removed meanwhile stays removed', async () => {
    const aor = 'sip:gone@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one'), binding('sip:two')] });
    await lose();
    await store.change(aor, { bindings: [binding('sip:one', { cseq: 2, expiresAtMs: 0 })] });
    await regain();
    await waitFor(async () => (await contacts(location(), aor)).join() === 'sip:two', {
      what: 'the removal in Redis',
    });
  });

  it('a Redis that comes back empty gets the bindings from memory', async () => {
    const aor = 'sip:lost@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one')] });
    await waitFor(async () => (await redis.client.exists('lastcall:{a}:content-mark')) === 1, {
      what: 'the mark',
    });
    await lose();
    await server.start();
    const admin = await connectRedis(server.url);
    await admin.client.flushall();
    await admin.close();
    await server.kill();
    await regain();
    await waitFor(async () => (await contacts(location(), aor)).length === 1, {
      what: 'the binding in Redis',
    });
  });

  it('a whole mirror answers without asking Redis, and hears what a sibling changes', async () => {
    const [one, other] = [location(), location()];
    const aor = 'sip:mirrored@test';
    await waitFor(async () => (await commands(() => one.find(aor))) === 0, {
      what: 'the mirror to be whole',
    });
    await other.change(aor, { bindings: [binding('sip:phone')] });
    await waitFor(async () => (await contacts(one, aor)).length === 1, {
      what: 'what the sibling registered',
    });
    // Others ask for the mark now and then.
    await waitFor(async () => (await commands(() => one.find(aor))) === 0, { what: 'an answer from memory' });
  });

  it('FLUSHALL while connected: a phone stays reachable at once, and its binding is in Redis again within seconds', async () => {
    const aor = 'sip:flushed@test';
    const store = location();
    await store.change(aor, { bindings: [binding('sip:one'), binding('sip:two')] });
    await waitFor(async () => (await redis.client.exists('lastcall:{a}:content-mark')) === 1, {
      what: 'the mark',
    });
    await redis.client.flushall();
    expect(await contacts(store, aor)).toHaveLength(2);
    expect((await store.change(aor, { bindings: [binding('sip:one', { cseq: 2 })] })).kind).toBe('ok');
    expect(await contacts(store, aor)).toHaveLength(2);
    await waitFor(async () => (await contacts(location(), aor)).length === 2, {
      what: 'both bindings in Redis',
      deadlineMs: 15_000,
    });
  });
});

async function lose(): Promise<void> {
  await server.kill();
  await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
}

async function regain(): Promise<void> {
  await server.start();
  await waitFor(() => redis.state.state === 'up', { what: 'Redis again' });
}

/** How many reads of bindings Redis was asked meanwhile. */
async function commands(work: () => Promise<unknown>): Promise<number> {
  const asked = async () =>
    Number(/cmdstat_get:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0);
  const before = await asked();
  await work();
  return (await asked()) - before;
}
