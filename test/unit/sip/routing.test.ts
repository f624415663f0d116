import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { type DialogEnd, NOBODY } from '../../../shared/sip/proxy/dialog-ticket.ts';
import { Dialogs } from '../../../shared/sip/proxy/dialogs.ts';
import { applyRouting, nextHopOf, RouteReader } from '../../../shared/sip/proxy/routing.ts';
import { SipServer } from '../../../shared/sip/server.ts';
import { parsedRequest, requestText } from './messages.ts';

const server = new SipServer({
  listeners: [
    { transport: 'udp', host: '127.0.0.1', port: 0, advertise: { host: 'proxy.example.com', port: 5060 } },
  ],
  onRequest: () => {},
});
const dialogs = new Dialogs({ server, lifetimeSeconds: 60, isTrusted: () => false, now: Date.now });
const reader = new RouteReader(
  dialogs,
  (host, port) =>
    server.isLocal(host, port) ||
    (host === 'example.com' && port === undefined) ||
    (host === 'cluster' && port === 5070),
);
const caller: DialogEnd = {
  transport: 'udp',
  localPort: 5060,
  token: null,
  address: '192.0.2.1',
  port: 5060,
  reopens: false,
  party: NOBODY,
};
/** As the caller of `call-1@192.0.2.1` (tag a1) holds it. */
const SIGNED = (() => {
  const ticket = dialogs.open(parsedRequest({}), caller, { ...caller, address: '192.0.2.7' });
  return `sip:${ticket}@proxy.example.com;lr`;
})();

beforeAll(() => server.start());
afterAll(() => server.stop());

interface Case {
  readonly uri?: string;
  /** False outside a dialog. */
  readonly dialog?: boolean;
  readonly routes?: string;
}

function routed({ uri = 'sip:bob@192.0.2.7', dialog = true, routes }: Case): unknown {
  const extra = routes === undefined ? [] : [`Route: ${routes}`];
  const request = parsedRequest(
    requestText({ method: 'BYE', uri, ...(dialog ? { toTag: 'b1' } : {}), extra }),
  );
  const routing = reader.routing(request);
  const draft = MessageDraft.from(request);
  applyRouting(draft, routing);
  return [routing.kind, routing.uri, draft.values('route')];
}

describe('what a Route set asks for (RFC 3261 16.4)', () => {
  it.each<[string, Case, unknown]>([
    ['no Route', {}, ['none', 'sip:bob@192.0.2.7', []]],
    ['our signed Route in a dialog', { routes: `<${SIGNED}>` }, ['dialog', 'sip:bob@192.0.2.7', []]],
    ['both of our Routes', { routes: `<${SIGNED}>, <${SIGNED}>` }, ['dialog', 'sip:bob@192.0.2.7', []]],
    [
      'ours, then another proxy',
      { routes: `<${SIGNED}>, <sip:p2.example.com;lr>` },
      ['dialog', 'sip:bob@192.0.2.7', ['<sip:p2.example.com;lr>']],
    ],
    [
      'ours, but signed for another call',
      { routes: `<${SIGNED.replace(/:.{16}/, ':AAAAAAAAAAAAAAAA')}>` },
      ['none', 'sip:bob@192.0.2.7', []],
    ],
    [
      'a signed Route outside a dialog',
      { routes: `<${SIGNED}>`, dialog: false },
      ['none', 'sip:bob@192.0.2.7', []],
    ],
    ['our domain', { routes: '<sip:example.com;lr>' }, ['none', 'sip:bob@192.0.2.7', []]],
    ['an alias with a port', { routes: '<sip:cluster:5070;lr>' }, ['none', 'sip:bob@192.0.2.7', []]],
    [
      'our name on another port is another server',
      { routes: '<sip:proxy.example.com:5090;lr>' },
      ['preloaded', 'sip:bob@192.0.2.7', ['<sip:proxy.example.com:5090;lr>']],
    ],
    [
      'a strict router sent our Route as Request-URI',
      { uri: SIGNED, routes: '<sip:p2.example.com;lr>, <sip:bob@192.0.2.7>' },
      ['dialog', 'sip:bob@192.0.2.7', ['<sip:p2.example.com;lr>']],
    ],
  ])('%s', (_name, given, expected) => {
    expect(routed(given)).toEqual(expected);
  });
});

describe('the next hop of a copy (RFC 3261 16.6 item 6)', () => {
  const copy = (route: string): MessageDraft =>
    MessageDraft.from(parsedRequest({ extra: [`Route: ${route}`] }));

  it('is the first Route, which stays', () => {
    const draft = copy('<sip:p1;lr>, <sip:p2;lr>');
    expect(nextHopOf(draft, 'sip:bob@b')).toBe('sip:p1;lr');
    expect(draft.values('route')).toEqual(['<sip:p1;lr>', '<sip:p2;lr>']);
  });

  it('a strict router gets its own URI as Request-URI and the real one last', () => {
    const draft = copy('<sip:strict.example.com>, <sip:p2;lr>');
    expect(nextHopOf(draft, 'sip:bob@b')).toBe('sip:strict.example.com');
    expect(draft.startLine).toBe('INVITE sip:strict.example.com SIP/2.0');
    expect(draft.values('route')).toEqual(['<sip:p2;lr>', '<sip:bob@b>']);
  });
});
