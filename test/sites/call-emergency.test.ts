import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { DOMAIN } from '../support/site-terminals.ts';

let sites: CallSites;
let gateway: SipPhone;
let b: RunningSite;

// Site a has a gateway, site b has none.
beforeAll(async () => {
  sites = await CallSites.start([{ terminalId: 1, number: '1001' }]);
  gateway = await SipPhone.start({ server: sites.udp('b'), username: 'gw', password: '', anonymous: true });
  const calls = { emergencyNumbers: ['112'] };
  await sites.run('a', { sip: { nextHop: gateway.contact.replace('gw@', '') }, calls });
  b = await sites.run('b', { calls });
});
beforeEach(() => {
  gateway.behaviour = { status: 486 };
  gateway.incoming.length = 0;
});
afterAll(() => sites.stop());

test.each([`sip:112@${DOMAIN}`, 'urn:service:sos'])(
  'R2 a stranger’s call to %s leaves by the gateway of another site where there is none here',
  async (uri) => {
    const stranger = await sites.phone(b, '1001', { anonymous: true });
    expect((await stranger.invite('help', { uri }).final()).status).toBe(486);
    expect(gateway.incoming.map(({ request }) => request.requestUri)).toEqual([uri]);
  },
);

test('G1 a peer site’s other calls never leave by this site’s gateway', async () => {
  const alice = await sites.registered(b, '1001');
  expect((await alice.invite('4711').final()).status).toBe(404);
  expect(gateway.incoming).toEqual([]);
});
