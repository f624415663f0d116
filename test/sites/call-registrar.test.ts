import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let a: RunningSite;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 8, number: '1008', enabled: false },
  ]);
  a = await sites.run('a', {
    peers: { b: {} },
    sip: { minExpiresSeconds: 30, defaultExpiresSeconds: 300, maxExpiresSeconds: 600, maxContacts: 3 },
  });
});

afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

const contacts = (...values: string[]): HeaderLine[] => values.map((value) => ['Contact', value]);
const register = (phone: SipPhone, headers: readonly HeaderLine[]) => phone.register(0, headers).final();
const expiries = (values: readonly string[]) =>
  values.map((value) => Number(/expires=(\d+)/.exec(value)?.[1]));

describe('REGISTER (RFC 3261 10.3)', () => {
  test('several contacts stand together, are listed with what is left of them, and go one by one', async () => {
    const phone = await sites.phone(a, '1001');
    const both = await register(
      phone,
      contacts('<sip:1001@127.0.0.1:6001>;expires=60;q=0.5', '<sip:1001@127.0.0.1:6002>;expires=90'),
    );
    expect(both.status).toBe(200);
    const listed = await register(phone, []);
    expect(listed.values('contact')).toHaveLength(2);
    expect(listed.values('contact').join()).toContain('q=0.5');
    expect(expiries(listed.values('contact')).every((seconds) => seconds > 50 && seconds <= 90)).toBe(true);
    const left = await register(phone, contacts('<sip:1001@127.0.0.1:6001>;expires=0'));
    expect(left.values('contact').map((value) => value.split(';')[0])).toEqual(['<sip:1001@127.0.0.1:6002>']);
  });

  test('Contact: * with Expires: 0 removes all; with anything else it is 400', async () => {
    const phone = await sites.registered(a, '1001');
    const wrong = await register(phone, [
      ['Contact', '*'],
      ['Expires', '60'],
    ]);
    expect(wrong.status).toBe(400);
    const mixed = await register(phone, [...contacts('*', `<${phone.contact}>`), ['Expires', '0']]);
    expect(mixed.status).toBe(400);
    expect((await register(phone, [])).values('contact')).toHaveLength(1);
    const removed = await register(phone, [
      ['Contact', '*'],
      ['Expires', '0'],
    ]);
    expect([removed.status, removed.values('contact')]).toEqual([200, []]);
  });

  test('too brief an interval is 423 with Min-Expires, too long a one is shortened, none is the default', async () => {
    const phone = await sites.phone(a, '1001');
    const brief = await register(phone, contacts(`<${phone.contact}>;expires=5`));
    expect([brief.status, brief.header('min-expires')]).toEqual([423, '30']);
    const long = await register(phone, contacts(`<${phone.contact}>;expires=99999999`));
    expect(expiries(long.values('contact'))).toEqual([600]);
    const none = await register(phone, contacts(`<${phone.contact}>`));
    expect(expiries(none.values('contact'))).toEqual([300]);
  });

  test('more contacts than allowed are refused, and nothing of that request stands', async () => {
    const phone = await sites.phone(a, '1001');
    const many = [1, 2, 3, 4].map((n) => `<sip:1001@127.0.0.1:600${n}>;expires=60`);
    expect((await register(phone, contacts(...many))).status).toBe(403);
    expect((await register(phone, [])).values('contact')).toEqual([]);
  });

  test('RFC 5626 outbound is confirmed, and an instance takes the place of its earlier registration', async () => {
    const phone = await sites.phone(a, '1001');
    const answer = await register(phone, [
      ...contacts(`<${phone.contact}>;expires=60;reg-id=1;+sip.instance="<urn:uuid:1>"`),
      ['Supported', 'path, outbound'],
    ]);
    expect(answer.header('require')).toBe('outbound');
    expect(answer.header('contact')).toContain('+sip.instance="<urn:uuid:1>";reg-id=1');
    const moved = await register(
      phone,
      contacts('<sip:1001@127.0.0.1:6003>;expires=60;reg-id=1;+sip.instance="<urn:uuid:1>"'),
    );
    expect(moved.values('contact')).toHaveLength(1);
  });

  test('G1 RFC 3327 a Path is kept and repeated to a trusted proxy; a phone that sends one is refused', async () => {
    const path: HeaderLine = ['Path', '<sip:127.0.0.1:6999;lr>'];
    const behindProxies = await sites.run('a', {
      peers: { b: {} },
      sip: { udp: '127.0.0.1:0', tcp: '127.0.0.1:0', ws: '127.0.0.1:0', trustedPeers: ['127.0.0.1'] },
    });
    const proxied = await sites.phone(behindProxies, '1001');
    const answer = await register(proxied, [...contacts(`<${proxied.contact}>;expires=60`), path]);
    expect([answer.status, answer.header('path')]).toEqual([200, '<sip:127.0.0.1:6999;lr>']);
    await proxied.unregister();
    await behindProxies.stop();
    const phone = await sites.phone(a, '1001');
    const refused = await register(phone, [...contacts(`<${phone.contact}>;expires=60`), path]);
    expect([refused.status, refused.reason]).toEqual([403, 'Path Not From A Trusted Proxy']);
  });

  test('three spellings of one URI are one contact', async () => {
    const phone = await sites.phone(a, '1001');
    for (const uri of ['sip:1001@127.0.0.1:6001;x=1;y=2', 'sip:%31001@127.0.0.1:6001;Y=2;x=1'])
      await register(phone, contacts(`<${uri}>;expires=60`));
    const answer = await register(phone, contacts('<SIP:1001@127.0.0.1:6001;x=1;y=2?Route=x>;expires=60'));
    expect(answer.values('contact').map((value) => value.split('>')[0])).toEqual([
      '<SIP:1001@127.0.0.1:6001;x=1;y=2',
    ]);
  });

  test('F13 OPTIONS to this server with an unknown Require is 420 and names exactly what is unknown', async () => {
    const phone = await sites.phone(a, '1001');
    const ask = (require: string) =>
      phone.request('OPTIONS', `sip:${DOMAIN}`, { headers: [['Require', require]] }).final();
    const answer = await ask('path, nobody.knows, also-not');
    expect([answer.status, answer.header('unsupported')]).toEqual([420, 'nobody.knows, also-not']);
    expect((await ask('path')).status).toBe(200);
  });

  test('an unknown Require is 420', async () => {
    const phone = await sites.phone(a, '1001');
    const answer = await register(phone, [...contacts(`<${phone.contact}>`), ['Require', 'gruu']]);
    expect([answer.status, answer.header('unsupported')]).toEqual([420, 'gruu']);
  });
});

describe('who may register', () => {
  test('401 without credentials, again with a wrong password, and for an unknown user', async () => {
    for (const options of [{ anonymous: true }, { password: 'guessed' }, { username: '4711' }]) {
      const phone = await sites.phone(a, '1001', options);
      expect((await phone.register().final()).status).toBe(401);
    }
  });

  test('nobody registers for another: 403', async () => {
    const phone = await sites.phone(a, '1001');
    const answer = await register(phone, [...contacts(`<${phone.contact}>`), ['To', `<sip:1002@${DOMAIN}>`]]);
    expect(answer.status).toBe(403);
  });

  test('a disabled terminal is 403, another domain 404', async () => {
    const disabled = await sites.phone(a, '1008');
    expect((await disabled.register().final()).status).toBe(403);
    const elsewhere = await sites.phone(a, '1001', { domain: 'elsewhere.example' });
    expect((await elsewhere.register().final()).status).toBe(404);
  });
});

describe('G2 a phone is where it registered from, whatever its Contact says', () => {
  test('over UDP the call goes to the source of the REGISTER, with the Contact as its Request-URI', async () => {
    const alice = await sites.registered(a, '1001');
    const bob = await sites.phone(a, '1002');
    const elsewhere = 'sip:1002@bob.example;transport=tcp';
    expect((await register(bob, contacts(`<${elsewhere}?Subject=x>;expires=60`))).status).toBe(200);
    bob.behaviour = { status: 486 };
    expect((await alice.invite('1002').final()).status).toBe(486);
    expect((await bob.call()).request.requestUri).toBe(elsewhere);
  });

  test('a Contact that names this server is 403 with its reason', async () => {
    const phone = await sites.phone(a, '1001');
    const { port } = new URL(a.udp.replace('sip:', 'http://'));
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, DOMAIN]) {
      const answer = await register(phone, contacts(`<sip:*69@${host}>;expires=60`));
      expect([answer.status, answer.reason]).toEqual([403, 'Contact Names This Server']);
    }
  });

  test('a Contact that names a peer site is 403 with its reason', async () => {
    const knowsPeer = await sites.run('a', {
      sip: { udp: '127.0.0.1:0', tcp: '127.0.0.1:0', ws: '127.0.0.1:0' },
    });
    const phone = await sites.phone(knowsPeer, '1001');
    const answer = await register(
      phone,
      contacts(`<${sites.udp('b').replace('sip:', 'sip:*69@')}>;expires=60`),
    );
    expect([answer.status, answer.reason]).toEqual([403, 'Contact Names A Peer Site']);
    await knowsPeer.stop();
  });
});

describe('RFC 5626 4.2 a closed connection takes its registration with it', () => {
  test('ten reloads of a page leave one contact, and the phone is called on it', async () => {
    for (let load = 0; load < 10; load++) {
      const page = await sites.phone(a, '1002', { server: a.tcp });
      expect((await page.register().final()).status).toBe(200);
      await page.stack.stop();
    }
    const last = await sites.registered(a, '1002', { server: a.tcp });
    last.behaviour = { status: 486 };
    await waitFor(async () => (await register(last, [])).values('contact').length === 1, {
      what: 'one contact',
    });
    const alice = await sites.registered(a, '1001');
    expect((await alice.invite('1002').final()).status).toBe(486);
  });

  test('but none that came again over another connection', async () => {
    const phone = await sites.phone(a, '1002', { server: a.tcp });
    const other = await sites.phone(a, '1002', { server: a.tcp });
    const instance = '+sip.instance="<urn:uuid:7>"';
    await register(phone, contacts(`<${phone.contact}>;expires=60;${instance}`));
    await register(other, contacts(`<${other.contact}>;expires=60;${instance}`));
    await phone.stack.stop();
    const marker = await sites.phone(a, '1001', { server: a.tcp });
    await register(marker, contacts(`<${marker.contact}>;expires=60`));
    await marker.stack.stop();
    const watcher = await sites.phone(a, '1001');
    await waitFor(async () => (await register(watcher, [])).values('contact').length === 0, {
      what: 'the later close to be noticed',
    });
    expect((await register(other, [])).values('contact')).toHaveLength(1);
  });
});

describe('RFC 5626 5.3 a phone over TCP is called on its own connection', () => {
  const unreachable = (phone: SipPhone) =>
    register(phone, [...contacts('<sip:1002@192.0.2.1:5060;transport=tcp>'), ['Expires', '60']]);

  test('also when its Contact leads nowhere', async () => {
    const alice = await sites.registered(a, '1001', { server: a.tcp });
    const bob = await sites.phone(a, '1002', { server: a.tcp });
    expect((await unreachable(bob)).status).toBe(200);
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    expect((await call.hangUp()).status).toBe(200);
  });

  test('and by way of the process that holds the connection, when the site has several', async () => {
    const second = await sites.run('a', {
      peers: { b: {} },
      sip: { udp: '127.0.0.1:0', tcp: '127.0.0.1:0', ws: '127.0.0.1:0' },
    });
    const bob = await sites.phone(second, '1002', { server: second.tcp });
    expect((await unreachable(bob)).status).toBe(200);
    bob.behaviour = 'answer';
    const alice = await sites.registered(a, '1001');
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    expect((await bob.call()).request.header('x-lastcall-flow')).toBeUndefined();
    expect((await call.hangUp()).status).toBe(200);
    await untilRow(sites.databases.a, 2, { last_terminated_call: '1001' });
    await second.stop();
  });

  test("a made-up request for somebody else's connection is 403", async () => {
    const bob = await sites.phone(a, '1002', { server: a.tcp });
    await unreachable(bob);
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    const answer = await stranger
      .invite('1002', { headers: [['X-Lastcall-Flow', 'cAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA']] })
      .final();
    expect(answer.status).toBe(403);
  });
});

test('two processes racing on the same terminal: every call is written, the newest date stands, and no registration is lost', async () => {
  const second = await sites.run('a', {
    peers: { b: {} },
    sip: { udp: '127.0.0.1:0', tcp: '127.0.0.1:0', ws: '127.0.0.1:0' },
  });
  const [one, two] = [await sites.registered(a, '1001'), await sites.phone(second, '1001')];
  expect((await two.register().final()).status).toBe(200);
  expect((await register(one, [])).values('contact')).toHaveLength(2);
  const numbers = Array.from({ length: 20 }, (_, index) => String(2000 + index));
  await Promise.all(numbers.map((number, index) => (index % 2 ? one : two).invite(number).final()));
  expect((await one.invite('2999').final()).status).toBe(404);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '2999' });
  expect((await two.invite('3000').final()).status).toBe(404);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '3000' });
  const redial = two.invite('*52');
  expect((await redial.final()).status).toBe(404);
  await second.stop();
});
