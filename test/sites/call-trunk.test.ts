import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';

// docs/sip/trunk.md: its two configurations, the trunk at 127.0.0.2.
const page = readFileSync(join(packageRoot(), 'docs/sip/trunk.md'), 'utf8');
const [first = '', second = ''] = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(
  ([, text = '']) => text,
);

let sites: CallSites;
/** As the page's first configuration has it. */
let a: RunningSite;
/** With the second one's word on From. */
let b: RunningSite;
let trunk: SipPhone;

beforeAll(async () => {
  sites = await CallSites.start([{ terminalId: 1, number: '1001' }]);
  trunk = await SipPhone.start({
    server: sites.udp('a'),
    username: '+4930123',
    password: '',
    domain: 'carrier.test',
    anonymous: true,
    host: '127.0.0.2',
  });
  trunk.behaviour = { status: 486 };
  const at = (text: string) =>
    parse(
      text
        .replaceAll('10.0.0.20/32', '127.0.0.2/32')
        .replaceAll('sip:10.0.0.20:5060', trunk.contact.replace('+4930123@', '')),
    );
  const { udp: _listener, ...sip } = at(first).sip;
  const { calls } = at(first);
  a = await sites.run('a', { peers: { b: {} }, sip, calls });
  b = await sites.run('b', { peers: { a: {} }, sip: { ...sip, ...at(second).sip }, calls });
});
beforeEach(() => {
  trunk.incoming.length = 0;
});
afterEach(async () => {
  await sites.stopPhones();
  await clearLastCalls(sites);
});
afterAll(async () => {
  await sites.stop();
  await trunk.stop();
});

/** The trunk calls 1001 at that site, whose phone is busy. */
async function calls(
  site: RunningSite,
  headers: readonly (readonly [string, string])[] = [],
): Promise<SipPhone> {
  const phone = await sites.registered(site, '1001');
  phone.behaviour = { status: 486 };
  const uri = `sip:1001@${site.udp.replace('sip:', '')}`;
  const from = '<sip:+4930123@carrier.test>';
  const call = new SipPhone({ ...trunk.options, server: site.udp });
  await call.stack.start();
  expect((await call.invite('1001', { uri, from, headers }).final()).status).toBe(486);
  await call.stop();
  return phone;
}

test('R5 R4 a call with P-Asserted-Identity is returned by *69 in the form that the subscriber dials', async () => {
  const phone = await calls(a, [['P-Asserted-Identity', '<sip:+4930123@carrier.test>']]);
  await untilRow(sites.databases.a, 1, { last_received_call: '030123' });
  expect((await phone.invite('*69').final()).status).toBe(486);
  expect(trunk.incoming[0]?.request.requestUri).toContain('sip:030123@');
});

test('without P-Asserted-Identity the caller is withheld, unless trustFrom believes From', async () => {
  const phone = await calls(a);
  expect((await phone.invite('*69').final()).status).toBe(480);
  await untilRow(sites.databases.a, 1, { last_received_call: null });
  await sites.stopPhones();
  await calls(b);
  await untilRow(sites.databases.b, 1, { last_received_call: '030123' });
});

test('F7 a barred number is dialed by hand, never by a star code', async () => {
  const phone = await sites.registered(a, '1001');
  expect((await phone.invite('0900123').final()).status).toBe(486);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '0900123' });
  expect((await phone.invite('*52').final()).status).toBe(403);
  expect(await ownRow(sites.databases.b, 1)).toBeUndefined();
});
