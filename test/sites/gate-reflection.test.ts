import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GateWorld } from '../support/raw/gate-world.ts';
import { newBranch, newToken, type RawHeader, rawRequest, statusOf } from '../support/raw/message-text.ts';
import { RawEnd } from '../support/raw/raw-end.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

/** T1 is 500 ms: retransmissions of a final response would come at 0.5, 1.5 and 3.5 s. */
const WATCHED_MS = 4_000;

interface Case {
  readonly name: string;
  readonly method: string;
  readonly uri?: string;
  readonly to?: string;
  readonly headers?: readonly RawHeader[];
  readonly body?: string;
  /** The text is bent after it was written. */
  readonly bent?: (text: string) => string;
  /** The only answer that will do; unless given, any or none. */
  readonly status?: number;
}

const CREDENTIALS = (username: string, nonce: string): string =>
  `Digest username="${username}", realm="${DOMAIN}", nonce="${nonce}", uri="sip:${DOMAIN}", response="${'0'.repeat(32)}", algorithm=MD5, qop=auth, nc=00000001, cnonce="abcdef"`;

const OTHER_METHODS = [
  'INFO',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'UPDATE',
  'PRACK',
  'REFER',
  'FOO',
];
const inDialog = { to: `<sip:1002@${DOMAIN}>;tag=of-nothing` };

const CASES: readonly Case[] = [
  { name: 'OPTIONS', method: 'OPTIONS', uri: `sip:${DOMAIN}` },
  {
    name: 'REGISTER',
    method: 'REGISTER',
    uri: `sip:${DOMAIN}`,
    headers: [['Contact', '<sip:x@127.0.0.1>']],
    status: 401,
  },
  {
    name: 'INVITE',
    method: 'INVITE',
    headers: [['Contact', '<sip:x@127.0.0.1>']],
    body: 'v=0\r\n'.repeat(20),
    status: 407,
  },
  { name: 'INVITE to nobody', method: 'INVITE', uri: `sip:7777@${DOMAIN}` },
  { name: 'INVITE to another domain', method: 'INVITE', uri: 'sip:1@other.example' },
  { name: 'INVITE to a star code', method: 'INVITE', uri: `sip:*69@${DOMAIN}` },
  ...OTHER_METHODS.map((method): Case => ({ name: method, method })),
  ...['BYE', 'INFO', 'UPDATE', 'PRACK', 'INVITE', 'NOTIFY'].map(
    (method): Case => ({ name: `${method} in a dialog of nothing`, method, ...inDialog }),
  ),
  { name: 'CANCEL of nothing', method: 'CANCEL' },
  { name: 'ACK of nothing', method: 'ACK' },
  ...['INVITE', 'REGISTER', 'MESSAGE', 'OPTIONS'].flatMap((method): Case[] => [
    { name: `${method} with Max-Forwards 0`, method, headers: [['Max-Forwards', '0']] },
    {
      name: `${method} with an unknown Proxy-Require`,
      method,
      headers: [['Proxy-Require', 'foo, bar, baz']],
    },
    { name: `${method} with an unknown Require`, method, headers: [['Require', 'foo, bar, baz']] },
    { name: `${method} to another scheme`, method, uri: 'mailto:x@example.com' },
    {
      name: `${method} of another version`,
      method,
      bent: (text) => text.replace(' SIP/2.0\r\n', ' SIP/7.0\r\n'),
    },
    { name: `${method} with a bad CSeq`, method, bent: (text) => text.replace(/CSeq: 1/, 'CSeq: x') },
    { name: `${method} without To`, method, bent: (text) => text.replace(/To: .*\r\n/, '') },
    { name: `${method} that has passed here`, method, bent: withOwnVia },
  ]),
  ...['INVITE', 'REGISTER'].flatMap((method): Case[] => {
    const header = method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization';
    return [
      { name: `${method} with a nonce of nobody`, method, headers: [[header, CREDENTIALS('1001', 'abc')]] },
      { name: `${method} of an unknown user`, method, headers: [[header, CREDENTIALS('9999', 'abc')]] },
      { name: `${method} with bad credentials`, method, headers: [[header, 'Digest username="1001"']] },
    ];
  }),
  ...['INVITE', 'REGISTER', 'OPTIONS', 'MESSAGE', 'BYE'].map(
    (method): Case => ({ name: `the shortest ${method}`, method, bent: compact }),
  ),
];

function withOwnVia(text: string): string {
  return text.replace(
    '\r\nVia: ',
    `\r\nVia: SIP/2.0/UDP 127.0.0.1:${world.ports.udp};branch=${newBranch()}\r\nVia: `,
  );
}

/** As short as RFC 3261 lets it be. */
function compact(text: string): string {
  const [start = ''] = text.split('\r\n');
  const [method = ''] = start.split(' ');
  const to = method === 'BYE' ? 't:<sip:2>;tag=1' : 't:<sip:2>';
  return `${method} sip:2@${DOMAIN} SIP/2.0\r\nv:SIP/2.0/UDP x;branch=z9hG4bK${newToken()};rport\r\nf:<sip:1>;tag=1\r\n${to}\r\ni:${newToken()}\r\nCSeq:1 ${method}\r\n\r\n`;
}

let world: GateWorld;
const heard = new Map<string, { readonly end: RawEnd; readonly sent: string }>();

beforeAll(async () => {
  world = await GateWorld.start();
  for (const each of CASES) {
    const end = await RawEnd.open('udp', world.address('udp'));
    const { body = '', headers = [], method, to = `<sip:1002@${DOMAIN}>`, uri = `sip:1002@${DOMAIN}` } = each;
    const text = rawRequest({
      method,
      uri,
      via: end.via(newBranch()),
      from: `<sip:1001@${DOMAIN}>;tag=${newToken()}`,
      to,
      callId: newToken(),
      cseq: 1,
      headers: [['User-Agent', 'A phone as they come, 1.2.3'], ...headers],
      body,
    });
    const sent = each.bent?.(text) ?? text;
    heard.set(each.name, { end, sent });
    end.send(sent);
  }
  await delay(WATCHED_MS);
});
afterAll(async () => {
  for (const { end } of heard.values()) end.close();
  await world.stop();
});

describe('G4 a stranger gets one answer, no larger than twice what it sent', () => {
  test.each(CASES.map((each) => [each.name, each] as const))('%s', (name, { status }) => {
    const { end, sent } = heard.get(name) ?? expect.unreachable();
    const answers = end.heard.map(({ text }) => text);
    expect(answers.map(statusOf).length, answers.map(statusOf).join(', ')).toBeLessThanOrEqual(1);
    expect(answers.join('').length / sent.length, answers[0]).toBeLessThanOrEqual(2);
    for (const { source } of end.heard) expect(source).toBe(`127.0.0.1:${world.ports.udp}`);
    if (status !== undefined) expect(answers.map(statusOf)).toEqual([status]);
  });
});

describe('G4 an answer goes to where the request came from', () => {
  const vias = (host: string, port: number): Record<string, string> => ({
    maddr: `127.0.0.1:${port};maddr=${host};rport`,
    'another host': `${host}:${port};rport`,
    'a received of its own': `127.0.0.1:9;received=${host};rport=${port}`,
    'a host and no rport': `${host}:5060;maddr=${host}`,
  });
  test.each(Object.keys(vias('', 0)))('whatever the Via says: %s', async (kind) => {
    const end = await RawEnd.open('udp', world.address('udp'));
    const { host, port } = world.victim;
    world.victim.forget();
    world.destinations.forget();
    for (const method of ['INVITE', 'REGISTER', 'OPTIONS', 'BYE']) {
      const via = `SIP/2.0/UDP ${vias(host, port)[kind]};branch=${newBranch()}`;
      const to = method === 'BYE' ? `<sip:x@${DOMAIN}>;tag=x` : `<sip:x@${DOMAIN}>`;
      const from = `<sip:y@${DOMAIN}>;tag=y`;
      end.send(rawRequest({ method, uri: `sip:x@${DOMAIN}`, via, from, to, callId: newToken(), cseq: 1 }));
    }
    if (!kind.includes('no rport'))
      await waitFor(() => end.heard.length >= 3, { what: 'the answers at their source' });
    world.stranger = await world.open('udp');
    await world.untilServed();
    expect(world.victim.heard).toEqual([]);
    expect(world.destinations.lines.filter((line) => line.includes(host))).toEqual([]);
    end.close();
  });
});

describe('G4 nothing is kept for a stranger', () => {
  beforeEach(() => world.settle('udp'));
  afterEach(() => world.leave());

  const flood = async (method: string, count: number): Promise<void> => {
    const end = await world.open('udp', '127.0.0.1');
    for (let i = 0; i < count; i++) {
      end.send(world.request(method, `sip:1002@${DOMAIN}`, [['Contact', '<sip:x@127.0.0.1>']], { end }).text);
      if (i % 20 === 19) await waitFor(() => end.heard.length > i - 200, { what: `answers to ${method}` });
    }
  };

  test.each(['INVITE', 'REGISTER', 'MESSAGE', 'BYE'])(
    'after 3,000 %s no transaction waits',
    async (method) => {
      await flood(method, 3_000);
      const alive = await waitFor(
        async () => {
          const left = await world.process.metric('lastcall_sip_transactions');
          if (left > 20) throw new Error(`${left} transactions`);
          return `${left}`;
        },
        { what: 'the transactions to be gone', deadlineMs: 15_000 },
      );
      expect(Number(alive)).toBeLessThanOrEqual(20);
    },
  );

  test('a flood of OPTIONS or REGISTER refuses nobody an INVITE', async () => {
    const busy = await GateWorld.start({ sip: { maxTransactions: 100 } });
    try {
      await busy.settle('udp');
      const end = await busy.open('udp');
      for (const method of ['OPTIONS', 'REGISTER'])
        for (let i = 0; i < 300; i++) {
          end.send(busy.request(method, `sip:${DOMAIN}`, [], { end }).text);
          if (i % 20 === 19) await busy.untilServed();
        }
      const dialog = await busy.alice.call('1002');
      expect(await busy.bob.got('ACK', dialog.callId)).toContain('ACK');
    } finally {
      await busy.stop();
    }
  });
});
