import { expect, it } from 'vitest';
import { Inbox } from '../../../shared/sip/transport/inbox.ts';
import { waitFor } from '../../support/wait-for.ts';

function inboxOf() {
  const taken: string[] = [];
  const overflows = { count: 0 };
  const inbox = new Inbox({
    take: ({ bytes }) => taken.push(bytes.toString('latin1')),
    onOverflow: () => overflows.count++,
  });
  const put = (...texts: string[]) => {
    for (const text of texts) inbox.put(Buffer.from(text), '192.0.2.1', 5060);
  };
  const all = (count: number) =>
    waitFor(() => taken.length >= count, { what: `${count} datagrams taken`, deadlineMs: 10_000 });
  return { inbox, taken, overflows, put, all };
}

const many = (count: number, text: string) => Array.from({ length: count }, (_, index) => `${text} ${index}`);

it('what belongs to a call under way passes new calls, and these pass registrations', async () => {
  const { put, all, taken } = inboxOf();
  put('REGISTER r', 'INVITE i', 'SIP/2.0 200', 'BYE b', 'ACK a');
  await all(5);
  expect(taken).toEqual(['SIP/2.0 200', 'BYE b', 'ACK a', 'INVITE i', 'REGISTER r']);
});

it('a CANCEL never passes its INVITE, nor does anything pass what is of its own kind', async () => {
  const { put, all, taken } = inboxOf();
  put(...many(30, 'INVITE'), 'CANCEL 1', 'OPTIONS 1', 'SUBSCRIBE 1');
  await all(33);
  expect(taken).toEqual([...many(30, 'INVITE'), 'CANCEL 1', 'OPTIONS 1', 'SUBSCRIBE 1']);
});

it('a flood of one kind leaves the others their share', async () => {
  const { put, all, taken } = inboxOf();
  put(...many(2_000, 'REGISTER'), ...many(500, 'BYE'), ...many(10, 'INVITE'));
  await all(2_510);
  expect(taken.indexOf('INVITE 9')).toBeLessThan(80);
  expect(taken.indexOf('REGISTER 0')).toBeLessThan(30);
});

it('without room the newest are let go, and counted', async () => {
  const { put, all, taken, overflows } = inboxOf();
  put(...many(20_050, 'REGISTER'));
  await all(20_000);
  expect(overflows.count).toBe(50);
  expect(taken.at(-1)).toBe('REGISTER 19999');
});

it('a closed one hands out nothing more', async () => {
  const { inbox, put, taken } = inboxOf();
  put('INVITE 1');
  inbox.close();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(taken).toEqual([]);
});
