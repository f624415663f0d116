import { expect, test } from 'vitest';
import { FlowHandover } from '../../../services/call-control/flow-handover.ts';
import { TrustedSources } from '../../../services/call-control/trusted-sources.ts';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { parsedRequest } from '../sip/messages.ts';

test('networks of IPv4 and IPv6, and single addresses', () => {
  const sources = new TrustedSources(['10.1.0.0/16', '192.0.2.9', '2001:db8::/32']);
  const has = (remoteAddress: string): boolean => sources.has({ remoteAddress });
  expect([has('10.1.255.1'), has('192.0.2.9'), has('2001:db8::1')]).toEqual([true, true, true]);
  expect([has('10.2.0.1'), has('192.0.2.10'), has('2001:db9::1'), has('proxy.example.com')]).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

test('R5 From is believed only of networks that are trusted and named for it', () => {
  const sources = new TrustedSources(['10.1.0.0/16'], ['10.1.2.0/24', '192.0.2.0/24']);
  const hasFrom = (remoteAddress: string): boolean => sources.hasFrom({ remoteAddress });
  expect([hasFrom('10.1.2.3'), hasFrom('10.1.3.3'), hasFrom('192.0.2.3')]).toEqual([true, false, false]);
});

const keys = (current: string, previous?: string) => () => ({
  current: Buffer.from(current),
  previous: previous === undefined ? null : Buffer.from(previous),
});

test('G1 a flow is handed over for one request only, soon, and only by who knows the site secret', () => {
  let nowMs = 1_800_000_000_000;
  const now = () => nowMs;
  const handover = new FlowHandover(keys('of the site'), now);
  const asked = (edit: (draft: MessageDraft) => void, secret = handover): string | null | undefined => {
    const draft = MessageDraft.from(parsedRequest({ callId: 'call-1' }));
    handover.ask(draft, 'u.Token_-.mac');
    edit(draft);
    return secret.asked(parsedRequest(draft.serialize()));
  };
  const unchanged = (): void => {};
  expect(asked(unchanged)).toBe('u.Token_-.mac');
  expect(asked((draft) => draft.set('call-id', 'call-2'))).toBeUndefined();
  expect(asked((draft) => draft.set('cseq', '2 INVITE'))).toBeUndefined();
  expect(asked((draft) => draft.setRequestUri('sip:other@example.com'))).toBeUndefined();
  expect(asked(unchanged, new FlowHandover(keys('of another'), now))).toBeUndefined();
  expect(asked(unchanged, new FlowHandover(keys('rotated', 'of the site'), now))).toBe('u.Token_-.mac');
  expect(
    asked(() => {
      nowMs += 31_000;
    }),
  ).toBeUndefined();
  expect(handover.asked(parsedRequest())).toBeNull();
  for (const value of ['', '.', 'cToken', 'cToken.', '.x', 'c.1800000031.x'])
    expect(handover.asked(parsedRequest({ extra: [`X-Lastcall-Flow: ${value}`] }))).toBeUndefined();
});
