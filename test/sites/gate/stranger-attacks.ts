import type { GateWorld } from '../../support/raw/gate-world.ts';
import {
  headerOf,
  methodOf,
  newBranch,
  newToken,
  type RawHeader,
  rawResponse,
  routeSet,
} from '../../support/raw/message-text.ts';
import { DOMAIN } from '../../support/site-terminals.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Attack } from './attack.ts';

type Build = (world: GateWorld) => {
  readonly uri: string;
  readonly headers?: readonly RawHeader[];
  readonly to?: string;
};

const route = (...uris: readonly string[]): RawHeader => ['Route', uris.map((uri) => `<${uri}>`).join(', ')];
const at = ({ victim }: GateWorld, parameters = ''): string => `sip:x@${victim.address}${parameters}`;
const along = ({ victim }: GateWorld): string => `sip:${victim.address};lr`;
const self = (world: GateWorld): string => `127.0.0.1:${world.address().port}`;

/** An ACK that belongs to nothing: never relayed, never looked up. */
const ack = (what: string, build: Build): Attack => ({
  name: `ACK ${what}`,
  answers: 'nothing',
  run: async (world) => {
    const { headers = [], to, uri } = build(world);
    world.begin();
    world.stranger.send(world.request('ACK', uri, headers, { ...(to !== undefined && { to }) }).text);
    return undefined;
  },
});

/** A request that is answered. */
const request = (
  method: string,
  what: string,
  build: Build,
  more: Pick<Attack, 'answers' | 'reaches'> = {},
): Attack => ({
  name: `${method} ${what}`,
  ...more,
  run: async (world) => {
    const { headers = [], to, uri } = build(world);
    const { callId, text } = world.request(method, uri, headers, { ...(to !== undefined && { to }) });
    world.begin();
    world.stranger.send(text);
    return world.stranger.final(callId);
  },
});

/** Nothing may be refused to somebody in an emergency; but it goes to the gateway and nowhere else. */
const EMERGENCY = { reaches: ['gateway'], answers: [486, 480, 404] } as const;

/** The Route of an emergency call, as the gateway sees it: what a stranger can get without credentials. */
async function emergencyRoute(world: GateWorld): Promise<{ callId: string; routes: string[]; from: string }> {
  world.begin();
  const { callId, text } = world.request('INVITE', `sip:112@${DOMAIN}`, [], { to: `<sip:112@${DOMAIN}>` });
  world.stranger.send(text);
  const invite = await waitFor(() => world.gateway.datagrams.find((each) => methodOf(each) === 'INVITE'), {
    what: 'the emergency call at the gateway',
  });
  await world.stranger.final(callId);
  await waitFor(() => world.gateway.datagrams.some((each) => methodOf(each) === 'ACK'), {
    what: "the gateway's refusal to be acknowledged",
  });
  return { callId, routes: routeSet(invite, 'uac'), from: headerOf(text, 'From') ?? '' };
}

/** The emergency call's own Route with another request in it. */
const afterEmergency = (what: string, build: Build): Attack => ({
  name: `INVITE with the Route of an emergency call ${what}`,
  run: async (world) => {
    const { callId, from, routes } = await emergencyRoute(world);
    const { headers = [], uri } = build(world);
    const given: RawHeader[] = [['From', from], ...routes.map((one): RawHeader => ['Route', one])];
    const { text } = world.request('INVITE', uri, [...given, ['CSeq', '7 INVITE'], ...headers], {
      callId,
      to: `<sip:112@${DOMAIN}>;tag=made-up`,
    });
    world.begin();
    world.stranger.send(text);
    return world.stranger.final(callId, 7);
  },
});

const OUT_OF_DIALOG = ['OPTIONS', 'MESSAGE', 'SUBSCRIBE', 'REFER', 'NOTIFY', 'PUBLISH', 'INFO'];
const IN_DIALOG = ['BYE', 'PRACK', 'UPDATE', 'INFO', 'INVITE'];
const EXTRA: Readonly<Record<string, readonly RawHeader[]>> = {
  REFER: [['Refer-To', '<sip:1002@lastcall.test>']],
  PRACK: [['RAck', '1 1 INVITE']],
};

export const STRANGER_ATTACKS: readonly Attack[] = [
  ack('to a URI elsewhere', (w) => ({ uri: at(w) })),
  ack('to a URI elsewhere over TCP', (w) => ({ uri: at(w, ';transport=tcp') })),
  ack('to the domain with maddr', (w) => ({
    uri: `sip:x@${DOMAIN}:${w.victim.port};maddr=${w.victim.host}`,
  })),
  ack('along its own Route', (w) => ({ uri: `sip:1002@${DOMAIN}`, headers: [route(along(w))] })),
  ack('along a Route over TCP', (w) => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [route(`${along(w)};transport=tcp`)],
  })),
  ack('along this server and then elsewhere', (w) => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [route(`sip:${self(w)};lr`, along(w))],
  })),
  ack('with this server as a strict router', (w) => ({
    uri: `sip:${self(w)};lr`,
    headers: [route(at(w))],
  })),
  ack('to a registered phone', () => ({ uri: `sip:1002@${DOMAIN}`, to: `<sip:1002@${DOMAIN}>;tag=x` })),
  ack("to a registered phone's address", (w) => ({ uri: w.bob.end.uri('1002') })),
  ack('with a made-up ticket', (w) => ({
    uri: at(w),
    to: `<sip:1002@${DOMAIN}>;tag=x`,
    headers: [route(`sip:AAAAAAAAAAAAAAAA~AAAA@${self(w)};lr`)],
  })),
  ack('to the gateway', (w) => ({ uri: `sip:0900@${w.gateway.address}` })),
  ack('to the peer site', (w) => ({ uri: `sip:1003@${w.peer.address}` })),

  request('INVITE', 'without credentials to a registered phone', () => ({ uri: `sip:1002@${DOMAIN}` })),
  request('INVITE', 'to a URI elsewhere', (w) => ({ uri: at(w) })),
  request('INVITE', 'along a Route elsewhere', (w) => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [route(`sip:${self(w)};lr`, along(w))],
  })),
  request('INVITE', 'with maddr elsewhere', (w) => ({
    uri: `sip:1002@${DOMAIN}:${w.victim.port};maddr=${w.victim.host}`,
  })),
  request('INVITE', 'with this server as a strict router', (w) => ({
    uri: `sip:${self(w)};lr`,
    headers: [route(at(w))],
  })),
  ...OUT_OF_DIALOG.flatMap((method) => [
    request(
      method,
      'to a URI elsewhere',
      (w) => ({ uri: at(w), headers: EXTRA[method] ?? [] }),
      method === 'OPTIONS' ? { answers: [200, 403, 404, 407] } : {},
    ),
    request(
      method,
      'along a Route elsewhere',
      (w) => ({ uri: `sip:1002@${DOMAIN}`, headers: [route(along(w)), ...(EXTRA[method] ?? [])] }),
      method === 'OPTIONS' ? { answers: [200, 403, 404, 407] } : {},
    ),
  ]),
  ...IN_DIALOG.map((method) =>
    request(method, 'with a To-tag and a made-up ticket', (w) => ({
      uri: at(w),
      to: `<sip:1002@${DOMAIN}>;tag=made-up`,
      headers: [route(`sip:AAAAAAAAAAAAAAAA~AAAA@${self(w)};lr`, along(w)), ...(EXTRA[method] ?? [])],
    })),
  ),
  request('BYE', 'with a To-tag to a registered phone', (w) => ({
    uri: w.bob.end.uri('1002'),
    to: `<sip:1002@${DOMAIN}>;tag=made-up`,
  })),
  request('CANCEL', 'of nothing, along a Route elsewhere', (w) => ({
    uri: at(w),
    headers: [route(along(w))],
  })),

  request(
    'INVITE',
    'in an emergency, along a Route elsewhere',
    (w) => ({ uri: `sip:112@${DOMAIN}`, headers: [route(along(w))] }),
    EMERGENCY,
  ),
  request(
    'INVITE',
    'in an emergency by tel:, along a Route elsewhere',
    (w) => ({ uri: 'tel:112', headers: [route(along(w))] }),
    EMERGENCY,
  ),
  request(
    'INVITE',
    'to urn:service:sos, along a Route elsewhere',
    (w) => ({ uri: 'urn:service:sos', headers: [route(along(w))] }),
    EMERGENCY,
  ),
  request(
    'INVITE',
    'in an emergency with maddr elsewhere',
    (w) => ({ uri: `sip:112@${DOMAIN};maddr=${w.victim.host}` }),
    { ...EMERGENCY, answers: [...EMERGENCY.answers, 403, 407] },
  ),
  request('INVITE', 'to an emergency number of another domain', () => ({ uri: 'sip:112@other.example' })),
  request('INVITE', 'to an emergency number elsewhere', (w) => ({
    uri: `sip:112@${w.victim.address}`,
    headers: [route(along(w))],
  })),
  afterEmergency('to a URI elsewhere', (w) => ({ uri: at(w) })),
  afterEmergency('to the gateway as somebody', (w) => ({
    uri: `sip:0900123@${w.gateway.address}`,
    headers: [['P-Asserted-Identity', `<sip:1001@${DOMAIN}>`]],
  })),
  afterEmergency('to a registered phone', () => ({ uri: `sip:1002@${DOMAIN}` })),

  request('INVITE', 'with the marker between sites', () => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [
      ['X-Lastcall-Sites', 'b'],
      ['P-Asserted-Identity', `<sip:1003@${DOMAIN}>`],
    ],
  })),
  request('INVITE', 'with the marker between the processes of a site', () => ({
    uri: `sip:1002@${DOMAIN}`,
    headers: [['X-Lastcall-Flow', 'AAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA']],
  })),
  request('REGISTER', 'of somebody else, with a Contact elsewhere', (w) => ({
    uri: `sip:${DOMAIN}`,
    headers: [['Contact', `<${at(w)}>`]],
  })),
  {
    name: 'an unsigned marker from the very address of the peer site',
    run: async (world) => {
      const callId = newToken();
      const heard: string[] = [];
      const { onDatagram } = world.peer;
      world.peer.onDatagram = (text) => heard.push(text);
      const { text } = world.request(
        'INVITE',
        `sip:1002@${DOMAIN}`,
        [
          ['Via', `SIP/2.0/UDP ${world.peer.address};branch=${newBranch()};rport`],
          ['X-Lastcall-Sites', 'b'],
          ['P-Asserted-Identity', `<sip:1003@${DOMAIN}>`],
        ],
        { callId },
      );
      world.begin();
      world.peer.send(text, world.address('udp'));
      const answer = await waitFor(() => heard.find((each) => !/^SIP\/2.0 1/.test(each)), {
        what: 'an answer',
      });
      world.peer.onDatagram = onDatagram;
      return answer;
    },
    reaches: ['peer'],
  },
  {
    name: 'a response for nobody, whose Vias lead elsewhere',
    answers: 'nothing',
    run: async (world) => {
      const { text } = world.request('INVITE', `sip:1002@${DOMAIN}`);
      const own = `SIP/2.0/UDP ${self(world)};branch=${newBranch()}`;
      const onward = `SIP/2.0/UDP ${world.victim.address};branch=${newBranch()}`;
      const response = rawResponse(text, 200, 'x', [['Contact', `<${at(world)}>`]]).replace(
        /Via: .*\r\n/,
        `Via: ${own}\r\nVia: ${onward}\r\n`,
      );
      world.begin();
      world.stranger.send(response);
      return undefined;
    },
  },
  {
    name: 'an INVITE whose Via names somebody else by host, maddr and received',
    answers: 'nothing',
    run: async (world) => {
      const { port, host } = world.victim;
      const vias = [
        `${host}:${port};rport`,
        `127.0.0.1:${port};maddr=${host};rport`,
        `127.0.0.1:9;received=${host};rport=${port}`,
      ];
      world.begin();
      for (const via of vias)
        world.stranger.send(
          world.request('INVITE', `sip:1002@${DOMAIN}`, [
            ['Via', `SIP/2.0/${world.transport.toUpperCase()} ${via};branch=${newBranch()}`],
          ]).text,
        );
      return undefined;
    },
  },
];
