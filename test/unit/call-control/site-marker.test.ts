import { beforeEach, expect, it } from 'vitest';
import { type MarkerReading, SiteMarker } from '../../../services/call-control/site-marker.ts';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { parsedRequest, requestText } from '../sip/messages.ts';

const KEY = 'k'.repeat(32);
let nowMs = 1_800_000_000_000;
const now = () => nowMs;
let b: SiteMarker;
beforeEach(() => {
  b = new SiteMarker({ site: 'b', key: KEY, now });
});

/** A call that site a marks and sends to b. */
function marked(key: string | null = KEY, passed: readonly string[] = []): MessageDraft {
  const extra = ['P-Asserted-Identity: <sip:1001@example.com>', 'Privacy: id'];
  const draft = MessageDraft.from(parsedRequest({ extra }));
  new SiteMarker({ site: 'a', key, now }).mark(draft, passed);
  return draft;
}
const read = (draft: MessageDraft): string => said(b.read(parsedRequest(draft.serialize())));
const said = (reading: MarkerReading): string =>
  reading.kind === 'genuine' ? reading.sites.join(' ') : 'reason' in reading ? reading.reason : 'none';

it('G5 a site proves itself by the key of the system, with the sites that a call has passed', () => {
  expect(read(marked())).toBe('a');
  expect(read(marked(KEY, ['c', 'd']))).toBe('c d a');
  expect(said(b.read(parsedRequest()))).toBe('none');
});

it('G5 another key proves nothing, nor does any without one here', () => {
  expect(read(marked('x'.repeat(32)))).toBe('forged');
  expect(read(marked(null))).toBe('none');
  b = new SiteMarker({ site: 'b', key: null, now });
  expect(read(marked())).toBe('none');
});

it.each<[string, (draft: MessageDraft) => void]>([
  ['Request-URI', (draft) => draft.setRequestUri('sip:other@example.com')],
  ['Call-ID', (draft) => draft.set('call-id', 'other')],
  ['CSeq', (draft) => draft.set('cseq', '2 INVITE')],
  ['From', (draft) => draft.set('from', '<sip:other@example.com>;tag=a1')],
  ['From tag', (draft) => draft.set('from', 'Alice <sip:alice@example.com>;tag=a2')],
  ['P-Asserted-Identity', (draft) => draft.set('p-asserted-identity', '<sip:1009@example.com>')],
  ['a further P-Asserted-Identity', (draft) => draft.append('p-asserted-identity', '<tel:110>')],
  ['Privacy', (draft) => draft.remove('privacy')],
  ['Diversion', (draft) => draft.append('diversion', '<sip:1009@example.com>')],
])('G5 a marker is none for another %s', (_name, change) => {
  const draft = marked();
  change(draft);
  expect(read(draft)).toBe('forged');
});

it('G5 a recorded marker serves nobody: not twice, and not after half a minute', () => {
  const draft = marked();
  expect([read(draft), read(draft)]).toEqual(['a', 'replayed']);
  const old = marked();
  nowMs += 31_000;
  expect(read(old)).toBe('expired');
});

it.each(['', 'a', 'a, b', 'a;time=1;nonce=x;mac=y', `${'a '.repeat(500)};time=1`])(
  'G5 a marker of the form %j is not believed',
  (value) => {
    const request = parsedRequest(requestText({ extra: [`X-Lastcall-Sites: ${value}`] }));
    expect(said(b.read(request))).toBe('malformed');
  },
);
