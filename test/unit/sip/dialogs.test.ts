import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DialogSide } from '../../../shared/sip/proxy/dialog-ticket.ts';
import { endOf } from '../../../shared/sip/proxy/dialog-ticket.ts';
import { Dialogs } from '../../../shared/sip/proxy/dialogs.ts';
import { SipServer } from '../../../shared/sip/server.ts';
import type { Flow } from '../../../shared/sip/transport/flow.ts';
import { parsedRequest, parsedResponse, requestText, responseTo } from './messages.ts';

const server = new SipServer({
  listeners: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  onRequest: () => {},
});
const HOUR_S = 3_600;
let nowMs = 1_800_000_000_000;
let dialogs: Dialogs;

beforeAll(() => server.start());
afterAll(() => server.stop());
const newDialogs = () =>
  new Dialogs({
    server,
    lifetimeSeconds: HOUR_S,
    isTrusted: ({ remoteAddress }) => remoteAddress.startsWith('10.'),
    now: () => nowMs,
  });
beforeEach(() => {
  dialogs = newDialogs();
});

const flow = (address: string, port = 5060): Flow => {
  const found = server.flowFrom('udp', server.listeners[0]?.port ?? 0, address, port);
  if (found === undefined) throw new Error('no flow');
  return found;
};
const ALICE = '192.0.2.1';
const BOB = '192.0.2.7';
const INVITE = { extra: ['Contact: <sip:alice@192.0.2.1>'] };

/** A ticket for a call of Alice (tag a1, party 1) to Bob (tag b1, party 2), answered unless told otherwise. */
function ticket({ answered = true, caller = ALICE, callee = BOB } = {}): string {
  const invite = parsedRequest(INVITE);
  const text = dialogs.open(invite, endOf(flow(caller), false, '1'), endOf(flow(callee), false, '2'));
  if (!answered) return text;
  const ok = responseTo(requestText(INVITE), 200).replace(
    'Content-Length',
    'Contact: <sip:bob@192.0.2.7:5070>\r\nContent-Length',
  );
  dialogs.heard(text, 'caller', parsedResponse(ok));
  dialogs.concluded(text, true);
  return text;
}

interface Asked {
  readonly by?: DialogSide;
  readonly source?: readonly [address: string, port?: number];
  readonly uri?: string;
  readonly tags?: readonly [from: string, to: string];
  readonly callId?: string;
  readonly onward?: readonly string[];
  readonly proven?: string;
  readonly method?: string;
}

/** Where the request went, `prove`, the status that it was refused with, or `no ticket`. */
function asked(text: string, { by = 'caller', tags, ...how }: Asked = {}, office = dialogs): string {
  const [fromTag, toTag] = tags ?? (by === 'caller' ? ['a1', 'b1'] : ['b1', 'a1']);
  const callId = how.callId ?? 'call-1@192.0.2.1';
  const request = parsedRequest({ method: how.method ?? 'INFO', fromTag, toTag, callId });
  const held = office.read(text, request);
  if (held === undefined) return 'no ticket';
  const verdict = office.admit({
    ...held,
    request,
    source: flow(...(how.source ?? ([by === 'caller' ? ALICE : BOB] as const))),
    uri: how.uri ?? (by === 'caller' ? 'sip:bob@192.0.2.7:5070' : 'sip:alice@192.0.2.1'),
    onward: how.onward ?? [],
    proven: how.proven,
  });
  if (verdict.kind === 'pass') return `${verdict.flow.remoteAddress}:${verdict.flow.remotePort}`;
  return verdict.kind === 'prove' ? 'prove' : String(verdict.answer.status);
}

describe('a ticket serves one dialog (G3)', () => {
  it('G3 leads each party to the other, over the flow that the call took', () => {
    expect([asked(ticket()), asked(ticket(), { by: 'callee' })]).toEqual([`${BOB}:5060`, `${ALICE}:5060`]);
  });

  it.each<[string, Asked, string]>([
    ['another Call-ID', { callId: 'call-2@192.0.2.1' }, 'no ticket'],
    ['another caller’s tag', { tags: ['x9', 'b1'] }, 'no ticket'],
    ['another To tag', { tags: ['a1', 'x9'] }, '481'],
    ['a callee that never answered', { by: 'callee', tags: ['x9', 'a1'] }, '481'],
    ['another host in the Request-URI', { uri: 'sip:bob@198.51.100.1:5070' }, '481'],
    ['another port in the Request-URI', { uri: 'sip:bob@192.0.2.7:25' }, '481'],
    ['another source address', { source: ['198.51.100.1'] }, 'prove'],
    ['another source port', { source: [ALICE, 9_999] }, 'prove'],
    ['the callee’s address for the caller', { source: [BOB] }, 'prove'],
    ['a Route that the dialog was not set up with', { onward: ['sip:evil.example.com;lr'] }, '403'],
  ])('G3 is no good for %s', (_name, how, expected) => {
    const text = ticket();
    const withRoutes = `Record-Route: <sip:${text}@127.0.0.1;lr>\r\nContent-Length`;
    const ok = responseTo(requestText(INVITE), 200).replace('Content-Length', withRoutes);
    dialogs.learnRoutes(text, parsedResponse(ok), 1);
    expect(asked(text, how)).toBe(expected);
  });

  it('G3 a ticket that was altered anywhere is none', () => {
    const text = ticket();
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(asked(text.slice(0, at) + other + text.slice(at + 1))).toBe('no ticket');
    }
  });

  it('G3 is over after BYE, after a process’s restart too', () => {
    const text = ticket();
    const restarted = newDialogs();
    expect(asked(text, {}, restarted)).toBe(`${BOB}:5060`);
    const bye = parsedRequest({ method: 'BYE', toTag: 'b1' });
    for (const office of [dialogs, restarted]) {
      expect(office.endsWith(text, bye)).toBe(true);
      office.end(text);
      expect(asked(text, {}, office)).toBe('481');
    }
  });

  it('G3 is over after its longest life', () => {
    const text = ticket();
    const restarted = newDialogs();
    nowMs += (HOUR_S + 1) * 1000;
    expect([asked(text), asked(text, {}, restarted)]).toEqual(['481', '481']);
  });

  it('G3 of a call that failed it is over when no late answer can come any more', () => {
    const text = ticket({ answered: false });
    expect(asked(text), 'nobody has answered it').toBe('481');
    dialogs.heard(text, 'caller', parsedResponse(responseTo(requestText(INVITE), 180)));
    dialogs.concluded(text, false);
    nowMs += 30_000;
    expect(asked(text)).toBe(`${BOB}:5060`);
    nowMs += 30_000;
    dialogs.open(
      parsedRequest({ callId: 'x' }),
      endOf(flow(ALICE), false, '1'),
      endOf(flow(BOB), false, '2'),
    );
    expect(asked(text)).toBe('481');
  });

  it('G3 a party that moved proves who it is, and is heard and reached there from then on', () => {
    const text = ticket();
    const moved = ['203.0.113.5', 40_000] as const;
    expect(asked(text, { source: moved })).toBe('prove');
    expect(asked(text, { source: moved, proven: '2' })).toBe('481');
    expect(asked(text, { source: moved, proven: '1' })).toBe(`${BOB}:5060`);
    expect(asked(text, { source: moved })).toBe(`${BOB}:5060`);
    expect(asked(text, { by: 'callee' })).toBe('203.0.113.5:40000');
  });

  it('G3 a trusted proxy may send from any address of its networks, nobody else from one of them', () => {
    const text = ticket({ callee: '10.0.0.1' });
    expect(asked(text, { by: 'callee', source: ['10.0.0.2', 7_000] })).toBe(`${ALICE}:5060`);
    expect(asked(text, { source: ['10.0.0.2'] })).toBe('prove');
  });
});
