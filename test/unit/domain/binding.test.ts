import { describe, expect, test } from 'vitest';
import { type Binding, callable, changeBindings } from '../../../shared/domain/binding.ts';

const NOW = 1_000;
const binding = (contact: string, over: Partial<Binding> = {}): Binding => ({
  contact,
  contactKey: contact,
  callId: `call-${contact}`,
  cseq: 1,
  registeredAtMs: 0,
  expiresAtMs: 2_000,
  q: 1_000,
  instance: null,
  regId: null,
  flow: `flow-of-${contact}`,
  owner: 'sip:192.0.2.1:5060;lr',
  received: 'udp:127.0.0.1:5060',
  path: [],
  userAgent: null,
  ...over,
});
const phone = (contact: string, regId: number | null, over: Partial<Binding> = {}) =>
  binding(contact, { instance: '<urn:uuid:1>', regId, ...over });
const contactsAfter = (standing: readonly Binding[], next: Binding, most = 10) => {
  const outcome = changeBindings(standing, { bindings: [next] }, NOW, most);
  return outcome.kind === 'ok' ? outcome.bindings.map(({ contact }) => contact) : outcome.kind;
};

describe('RFC 5626 6 one binding an instance and flow', () => {
  test('the same instance takes the place of its earlier registration, whatever its contact', () => {
    expect(contactsAfter([phone('old', null), binding('other')], phone('new', null))).toEqual([
      'other',
      'new',
    ]);
    expect(contactsAfter([phone('old', 1)], phone('new', 1))).toEqual(['new']);
  });

  test('its flows with other reg-ids stand beside, what it registered without one does not', () => {
    expect(contactsAfter([phone('first', 1)], phone('second', 2))).toEqual(['first', 'second']);
    expect(contactsAfter([phone('without', null)], phone('first', 1))).toEqual(['first']);
    expect(contactsAfter([phone('first', 1), phone('second', 2)], phone('without', null))).toEqual([
      'without',
    ]);
  });

  test('7 a call goes to the flow it registered last', () => {
    const flows = [phone('first', 1, { registeredAtMs: 20 }), phone('second', 2, { registeredAtMs: 10 })];
    expect(callable([...flows, binding('other')], NOW).map(({ contact }) => contact)).toEqual([
      'first',
      'other',
    ]);
    expect(callable(flows.slice(1), NOW)).toHaveLength(1);
  });
});

test('ten reloads of a page and one more: the oldest registration gives way', () => {
  const reloads = Array.from({ length: 10 }, (_, n) => binding(`load-${n}`, { registeredAtMs: n }));
  const left = contactsAfter(reloads, binding('load-10', { registeredAtMs: 10 }));
  expect(left).toHaveLength(10);
  expect(left).not.toContain('load-0');
  expect(left).toContain('load-10');
});

test('a closed connection takes with it what came over it, and nothing that came over another since', () => {
  const standing = [binding('one', { flow: 'closed' }), binding('two', { flow: 'open' })];
  expect(changeBindings(standing, { lostFlow: 'closed' }, NOW, 10)).toEqual({
    kind: 'ok',
    bindings: [standing[1]],
  });
});

test('the bindings of a removed terminal are all gone', () => {
  expect(changeBindings([binding('one')], { forget: true }, NOW, 10)).toEqual({ kind: 'ok', bindings: [] });
});
