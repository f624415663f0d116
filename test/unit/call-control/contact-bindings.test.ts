import { expect, test } from 'vitest';
import {
  type RegistrationContext,
  readRegistration,
} from '../../../services/call-control/contact-bindings.ts';
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

const context = (reliable = false): RegistrationContext => ({
  source: flow(reliable),
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

test('q, instance and reg-id are read; over UDP no connection is kept, over TCP it is, with who holds it', () => {
  const headers = ['Contact: <sip:a@b>;q=0.25;reg-id=2;+sip.instance="<urn:uuid:1>"', 'User-Agent: phone'];
  expect(bindings(...headers)).toMatchObject([
    {
      contact: 'sip:a@b',
      q: 250,
      regId: 2,
      instance: '<urn:uuid:1>',
      userAgent: 'phone',
      flow: null,
      owner: null,
    },
  ]);
  const overTcp = readRegistration(parsedRequest({ method: 'REGISTER', extra: headers }), context(true));
  expect(overTcp).toMatchObject({
    bindings: [{ flow: 'token', owner: 'sip:here;lr', received: 'tcp:192.0.2.1:5060' }],
  });
});
