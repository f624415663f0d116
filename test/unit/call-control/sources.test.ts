import { afterEach, expect, test } from 'vitest';
import { FlowHandover } from '../../../services/call-control/flow-handover.ts';
import { TrustedSources } from '../../../services/call-control/trusted-sources.ts';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { parsedRequest } from '../sip/messages.ts';

let sources: TrustedSources;
afterEach(() => sources?.stop());

const from = (transport: 'udp' | 'tcp', remoteAddress: string, remotePort: number) =>
  sources.has({ transport, remoteAddress, remotePort });

test('a peer site is known by the address and port its datagrams come from, and by nothing less', async () => {
  sources = new TrustedSources({ networks: [], peers: ['sip:192.0.2.7:5070', 'sip:localhost'] });
  expect(from('udp', '192.0.2.7', 5070)).toBe(false);
  await sources.start();
  expect(from('udp', '192.0.2.7', 5070)).toBe(true);
  expect(from('udp', '127.0.0.1', 5060) || from('udp', '::1', 5060)).toBe(true);
  expect(from('udp', '192.0.2.7', 5071)).toBe(false);
  expect(from('udp', '192.0.2.8', 5070)).toBe(false);
  expect(from('tcp', '192.0.2.7', 5070)).toBe(false);
});

test('networks of IPv4 and IPv6, and single addresses', () => {
  sources = new TrustedSources({ networks: ['10.1.0.0/16', '192.0.2.9', '2001:db8::/32'], peers: [] });
  expect([from('tcp', '10.1.255.1', 1), from('udp', '192.0.2.9', 1), from('tcp', '2001:db8::1', 1)]).toEqual([
    true,
    true,
    true,
  ]);
  expect([from('tcp', '10.2.0.1', 1), from('udp', '192.0.2.10', 1), from('tcp', '2001:db9::1', 1)]).toEqual([
    false,
    false,
    false,
  ]);
});

const keys = (current: string, previous?: string) => () => ({
  current: Buffer.from(current),
  previous: previous === undefined ? null : Buffer.from(previous),
});

test('a connection is handed over for one call only, and only by who knows the site secret', () => {
  const handover = new FlowHandover(keys('of the site'));
  const asked = (callId: string, secret = handover): string | null | undefined => {
    const request = parsedRequest({ callId: 'call-1' });
    const draft = MessageDraft.from(request);
    handover.ask(draft, request, 'cToken_-');
    draft.set('call-id', callId);
    return secret.asked(parsedRequest(draft.serialize()));
  };
  expect(asked('call-1')).toBe('cToken_-');
  expect(asked('call-2')).toBeUndefined();
  expect(asked('call-1', new FlowHandover(keys('of another')))).toBeUndefined();
  expect(asked('call-1', new FlowHandover(keys('rotated', 'of the site')))).toBe('cToken_-');
  expect(handover.asked(parsedRequest())).toBeNull();
  for (const value of ['', '.', 'cToken', 'cToken.', '.x'])
    expect(handover.asked(parsedRequest({ extra: [`X-Lastcall-Flow: ${value}`] }))).toBeUndefined();
});
