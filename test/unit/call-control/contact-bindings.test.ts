import { describe, expect, test } from 'vitest';
import {
  type RegistrationContext,
  readRegistration,
} from '../../../services/call-control/contact-bindings.ts';
import { ReservedPlaces } from '../../../services/call-control/reserved-places.ts';
import type { Flow } from '../../../shared/sip/transport/flow.ts';
import { parsedRequest } from '../sip/messages.ts';

const flow = (reliable: boolean) =>
  ({
    reliable,
    transport: reliable ? 'tcp' : 'udp',
    token: 'token',
    remoteAddress: '192.0.2.1',
    remotePort: 5060,
  }) as Flow;

const reserved = new ReservedPlaces({
  listeners: () => [
    { host: '198.51.100.1', port: 5060 },
    { host: '198.51.100.1', port: 5061 },
  ],
  domain: 'Lastcall.test',
  peers: ['sip:198.51.100.2', 'sips:b.example:5071'],
  nextHop: 'sip:gateway.example:5080',
  machine: ['127.0.0.1', '198.51.100.1', '::1'],
});

const context = (reliable = false, trusted = false): RegistrationContext => ({
  source: flow(reliable),
  trusted,
  reserved: (uri) => reserved.named(uri),
  owner: 'sip:here;lr',
  nowMs: 1_000,
  bounds: { minSeconds: 30, defaultSeconds: 300, maxSeconds: 600 },
});

const read = (...extra: string[]) =>
  readRegistration(parsedRequest({ method: 'REGISTER', extra }), context());
const bindings = (...extra: string[]) => {
  const found = read(...extra);
  if (found.kind !== 'change') throw new Error(found.kind);
  return found.bindings;
};
const secondsOf = (...extra: string[]) =>
  bindings(...extra).map(({ expiresAtMs }) => (expiresAtMs && expiresAtMs - 1_000) / 1000);

test('without Contact it asks what stands', () => {
  expect(read('Expires: 60')).toEqual({ kind: 'fetch' });
});

test('the contact decides before the header, the header before the default; all is capped', () => {
  expect(secondsOf('Contact: <sip:a@b>;expires=60, <sip:c@d>', 'Expires: 90')).toEqual([60, 90]);
  expect(secondsOf('Contact: <sip:a@b>')).toEqual([300]);
  expect(secondsOf('Contact: <sip:a@b>;expires=4294967295')).toEqual([600]);
});

test('a malformed expiry counts as absent, 0 removes, a brief one is refused', () => {
  expect(secondsOf('Contact: <sip:a@b>;expires=soon')).toEqual([300]);
  expect(secondsOf('Contact: <sip:a@b>;expires=0')).toEqual([0]);
  expect(read('Contact: <sip:a@b>;expires=29')).toEqual({ kind: 'too-brief' });
});

test('Contact: * stands alone and only with Expires: 0', () => {
  expect(read('Contact: *', 'Expires: 0')).toEqual({ kind: 'remove-all' });
  expect(read('Contact: *', 'Expires: 1').kind).toBe('invalid');
  expect(read('Contact: *').kind).toBe('invalid');
  expect(read('Contact: *, <sip:a@b>', 'Expires: 0').kind).toBe('invalid');
});

test('one bad contact makes the whole request invalid: a change is whole or not at all', () => {
  expect(read('Contact: <sip:a@b>, <tel:+1>').kind).toBe('invalid');
  expect(read(`Contact: <sip:${'a'.repeat(2000)}@b>`).kind).toBe('invalid');
});

test('G2 q, instance, reg-id and the flow it came over are read, over UDP too, with who holds it', () => {
  const headers = ['Contact: <sip:a@b>;q=0.25;reg-id=2;+sip.instance="<urn:uuid:1>"', 'User-Agent: phone'];
  expect(bindings(...headers)).toMatchObject([
    {
      contact: 'sip:a@b',
      q: 250,
      regId: 2,
      instance: '<urn:uuid:1>',
      userAgent: 'phone',
      flow: 'token',
      owner: 'sip:here;lr',
      received: 'udp:192.0.2.1:5060',
    },
  ]);
  const overTcp = readRegistration(parsedRequest({ method: 'REGISTER', extra: headers }), context(true));
  expect(overTcp).toMatchObject({
    bindings: [{ flow: 'token', owner: 'sip:here;lr', received: 'tcp:192.0.2.1:5060' }],
  });
});

describe('G1 G2 a contact or path that leads back into the system is refused with its reason', () => {
  const refusal = (extra: readonly string[], trusted = false) => {
    const found = readRegistration(parsedRequest({ method: 'REGISTER', extra }), context(false, trusted));
    return found.kind === 'refused' ? found.reason : found.kind;
  };

  test.each([
    ['sip:1001@198.51.100.1', 'Contact Names This Server'],
    ['sip:*69@198.51.100.1:5061', 'Contact Names This Server'],
    ['sip:1001@lastcall.TEST:7000', 'Contact Names This Server'],
    ['sip:1001@localhost', 'Contact Names This Server'],
    ['sip:1001@127.0.0.1:5060', 'Contact Names This Server'],
    ['sip:1001@[::1]', 'Contact Names This Server'],
    ['sip:1001@192.0.2.1;maddr=198.51.100.1', 'Contact Names This Server'],
    ['sip:*69@198.51.100.2', 'Contact Names A Peer Site'],
    ['sip:*69@198.51.100.2:5060;transport=tcp', 'Contact Names A Peer Site'],
    ['sip:1001@B.example:5071', 'Contact Names A Peer Site'],
    ['sip:1001@gateway.example:5080', 'Contact Names The Gateway'],
    ['sip:1001@127.0.0.1:6000', 'change'],
    ['sip:1001@198.51.100.2:6000', 'change'],
    ['sip:1001@gateway.example', 'change'],
    ['sip:1001@192.0.2.1', 'change'],
    ['sip:x1@abc.invalid;transport=ws', 'change'],
  ])('Contact: %s: %s', (uri, reason) => {
    expect(refusal([`Contact: <${uri}>`])).toBe(reason);
  });

  test('what stands may be taken back whatever it names', () => {
    expect(refusal(['Contact: <sip:1001@198.51.100.1>;expires=0'])).toBe('change');
  });

  test('a Path is believed from a trusted proxy only, which may be the gateway itself', () => {
    const contact = 'Contact: <sip:1001@192.0.2.1>';
    expect(refusal([contact, 'Path: <sip:192.0.2.9;lr>'])).toBe('Path Not From A Trusted Proxy');
    expect(refusal([contact, 'Path: <sip:192.0.2.9;lr>'], true)).toBe('change');
    expect(refusal([contact, 'Path: <sip:gateway.example:5080;lr>'], true)).toBe('change');
    expect(refusal([contact, 'Path: <sip:198.51.100.1;lr>'], true)).toBe('Path Names This Server');
    expect(refusal([contact, 'Path: <sip:192.0.2.9;lr>, <sip:198.51.100.2;lr>'], true)).toBe(
      'Path Names A Peer Site',
    );
    expect(refusal([contact, 'Path: <tel:+1>'], true)).toBe('invalid');
  });
});

test('the headers of a Contact URI never reach a Request-URI', () => {
  expect(bindings('Contact: <sip:a?b@c;x=1?Route=%3Csip:evil%3E&Subject=x>')[0]?.contact).toBe(
    'sip:a?b@c;x=1',
  );
});

test('RFC 3261 19.1.4 every spelling of one contact is one binding', () => {
  const keys = [
    '<sip:alice@192.0.2.1;transport=udp;line=7>',
    '<sip:%61lice@192.0.2.1:5060;line=7;transport=UDP>',
    '<SIP:alice@192.0.2.1;Line=7;transport=udp?subject=x>',
    '<sip:alice@192.0.2.1;line=8;transport=udp>',
    '<sip:Alice@192.0.2.1;transport=udp;line=7>',
  ].map((uri) => bindings(`Contact: ${uri}`)[0]?.contactKey);
  expect(new Set(keys.slice(0, 3)).size).toBe(1);
  expect(new Set(keys).size).toBe(3);
});
