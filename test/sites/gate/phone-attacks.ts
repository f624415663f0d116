import type { GateWorld, Party } from '../../support/raw/gate-world.ts';
import { headerOf, methodOf, type RawHeader } from '../../support/raw/message-text.ts';
import { DOMAIN } from '../../support/site-terminals.ts';
import type { Attack } from './attack.ts';

const at = ({ victim }: GateWorld, parameters = ''): string => `sip:x@${victim.address}${parameters}`;
const along = ({ victim }: GateWorld): string => `sip:${victim.address};lr`;
const self = (world: GateWorld): string => `127.0.0.1:${world.address().port}`;
const route = (...uris: readonly string[]): RawHeader => ['Route', uris.map((uri) => `<${uri}>`).join(', ')];

/** A request with good credentials. */
const request = (
  method: string,
  what: string,
  build: (world: GateWorld) => { readonly uri: string; readonly headers?: readonly RawHeader[] },
  more: Pick<Attack, 'answers' | 'reaches'> = {},
): Attack => ({
  name: `${method} ${what}`,
  ...more,
  run: async (world) => {
    const { headers = [], uri } = build(world);
    world.begin();
    return method === 'INVITE'
      ? world.alice.invite(uri, { headers })
      : world.alice.request(method, uri, { headers });
  },
});

/** A REGISTER that must be refused. */
const contact = (what: string, value: (world: GateWorld) => string): Attack => ({
  name: `REGISTER with a Contact ${what}`,
  answers: [403],
  run: async (world) => {
    world.begin();
    return world.alice.register(`<${value(world)}>`);
  },
});

/** A REGISTER that may be taken, but whose phone is called where it is. */
const calledBack = (
  what: string,
  contactOf: (world: GateWorld) => string,
  headers: (world: GateWorld) => readonly RawHeader[] = () => [],
): Attack => ({
  name: `REGISTER with ${what}, and a call to it`,
  // 486 is what the peer site says of a phone that this one has not.
  answers: [200, 400, 403, 404, 420, 480, 486],
  reaches: ['alice', 'peer'],
  run: async (world) => {
    await world.alice.register('*');
    world.begin();
    await world.alice.register(contactOf(world), headers(world));
    const answer = await world.bob.invite('1001');
    const invite = world.alice.requests.find((text) => methodOf(text) === 'INVITE');
    const stolen =
      invite === undefined ? undefined : (headerOf(invite, 'X-Stolen') ?? headerOf(invite, 'Route'));
    return stolen === undefined ? answer : `SIP/2.0 599 the Contact's headers are in the request: ${stolen}`;
  },
});

/** The called phone sends its caller on. */
const forwarded = (
  what: string,
  target: (world: GateWorld) => string,
  reaches: readonly Party[] = [],
): Attack => ({
  name: `302 ${what}`,
  answers: [302, 403, 404, 480, 486, 487],
  reaches: ['alice', ...reaches],
  run: async (world) => {
    world.alice.behaviour = { status: 302, headers: [['Contact', `<${target(world)}>`]] };
    world.begin();
    return world.bob.invite('1001');
  },
});

export const PHONE_ATTACKS: readonly Attack[] = [
  request('INVITE', 'to a URI elsewhere', (w) => ({ uri: at(w) })),
  request('INVITE', 'to a URI elsewhere over TCP', (w) => ({ uri: at(w, ';transport=tcp') })),
  request('INVITE', 'to a port that nobody registered from', (w) => ({
    uri: `sip:x@${w.neighbour.address}`,
  })),
  request('INVITE', 'to another domain', () => ({ uri: 'sip:1002@other.example' })),
  request('INVITE', 'to the address of the peer site', (w) => ({ uri: `sip:1002@${w.peer.address}` })),
  request('INVITE', 'to the address of the gateway', (w) => ({ uri: `sip:0900@${w.gateway.address}` })),
  request('INVITE', 'along a Route elsewhere', (w) => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [route(along(w))],
  })),
  request('INVITE', 'along this server and then elsewhere', (w) => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [route(`sip:${self(w)};lr`, along(w))],
  })),
  request('INVITE', 'along the gateway', (w) => ({
    uri: `sip:0900@${DOMAIN}`,
    headers: [route(`sip:${w.gateway.address};lr`)],
  })),
  request('INVITE', 'along the peer site', (w) => ({
    uri: `sip:1003@${DOMAIN}`,
    headers: [route(`sip:${w.peer.address};lr`)],
  })),
  request('INVITE', 'with this server as a strict router', (w) => ({
    uri: `sip:${self(w)};lr`,
    headers: [route(at(w))],
  })),
  request(
    'INVITE',
    'with maddr elsewhere',
    (w) => ({ uri: `sip:1002@${DOMAIN}:${w.victim.port};maddr=${w.victim.host}` }),
    { reaches: ['bob'], answers: [200, 403, 404, 482] },
  ),
  request(
    'INVITE',
    'in an emergency, along a Route elsewhere',
    (w) => ({ uri: `sip:112@${DOMAIN}`, headers: [route(along(w))] }),
    { reaches: ['gateway'], answers: [486, 480, 404] },
  ),
  request('INVITE', 'with the marker between sites and a stolen identity', () => ({
    uri: `sip:112233@other.example`,
    headers: [
      ['X-Lastcall-Sites', 'b'],
      ['P-Asserted-Identity', `<sip:1003@${DOMAIN}>`],
    ],
  })),
  ...(['MESSAGE', 'SUBSCRIBE', 'REFER', 'INFO'] as const).flatMap((method) => {
    const extra: RawHeader[] = method === 'REFER' ? [['Refer-To', `<sip:1002@${DOMAIN}>`]] : [];
    return [
      request(method, 'to a URI elsewhere', (w) => ({ uri: at(w), headers: extra })),
      request(method, 'along a Route elsewhere', (w) => ({
        uri: `sip:1002@${DOMAIN}`,
        headers: [route(along(w)), ...extra],
      })),
    ];
  }),

  contact('at this server', (w) => `sip:1002@${self(w)}`),
  contact('at the domain', () => `sip:1002@${DOMAIN}`),
  contact('at localhost', (w) => `sip:1002@localhost:${w.address().port}`),
  contact('at the peer site', (w) => `sip:1002@${w.peer.address}`),
  contact('at the peer site, for its star code', (w) => `sip:*69@${w.peer.address}`),
  contact('at the gateway', (w) => `sip:0900@${w.gateway.address}`),
  contact('at the gateway by maddr', (w) => `sip:0900@192.0.2.1:${w.gateway.port};maddr=${w.gateway.host}`),
  calledBack('a Contact elsewhere', (w) => `<${at(w)}>`),
  calledBack('a Contact at another port of its address', (w) => `<sip:1001@${w.neighbour.address}>`),
  calledBack('a Contact elsewhere over TCP', (w) => `<${at(w, ';transport=tcp')}>`),
  calledBack(
    'a Contact with maddr elsewhere',
    (w) => `<sip:1001@192.0.2.1:${w.victim.port};maddr=${w.victim.host}>`,
  ),
  calledBack('a Contact at a name that must be looked up', () => '<sip:1001@phones.example.com>'),
  calledBack(
    'a Contact with headers',
    (w) => `<${w.alice.end.uri('1001')}?Route=%3C${along(w)}%3E&X-Stolen=1>`,
  ),
  calledBack(
    'a Path elsewhere',
    (w) => `<${w.alice.end.uri('1001')}>`,
    (w) => [
      ['Path', `<${along(w)}>`],
      ['Supported', 'path'],
    ],
  ),

  forwarded('to a URI elsewhere', (w) => at(w)),
  forwarded('to another domain', () => 'sip:900@other.example'),
  forwarded('to the gateway', (w) => `sip:0900@${w.gateway.address}`),
  forwarded('to the peer site', (w) => `sip:1003@${w.peer.address}`),
  forwarded('to an emergency number', () => `sip:112@${DOMAIN}`),
  forwarded(
    'to the domain with maddr elsewhere',
    (w) => `sip:1002@${DOMAIN}:${w.victim.port};maddr=${w.victim.host}`,
    ['bob'],
  ),
];
