import { createSocket } from 'node:dgram';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { parsedResponse, requestText } from '../unit/sip/messages.ts';
import { ProxyUnderTest } from '../unit/sip/proxy-under-test.ts';
import { type Outgoing, SipPeer } from '../unit/sip/sip-peer.ts';

let proxy: ProxyUnderTest;
let caller: SipPeer;
let left: SipPeer;
let right: SipPeer;

beforeEach(async () => {
  proxy = new ProxyUnderTest(['udp']);
  await proxy.server.start();
  caller = await SipPeer.start('udp');
  left = await SipPeer.start('udp');
  right = await SipPeer.start('udp');
  proxy.options = () => ({ targets: [{ uri: left.uri() }, { uri: right.uri() }] });
});

afterEach(async () => {
  await Promise.all([proxy.server.stop(), caller.stop(), left.stop(), right.stop()]);
  expect(proxy.faults).toEqual([]);
});

it('RFC 5393: forks no further than its breadth, and answers 440 when none is left', async () => {
  const withBreadth = (breadth?: string): Outgoing =>
    caller.send({
      uri: 'sip:callee@example.com',
      hop: { uri: proxy.uri() },
      headers: breadth === undefined ? [] : [['Max-Breadth', breadth]],
    });
  for (const peer of [left, right])
    peer.onRequest = (_request, transaction) => void transaction.reply({ status: 486 });
  expect((await withBreadth('1').response()).status).toBe(486);
  expect([left.requests.length, right.requests.length]).toEqual([1, 0]);
  expect(left.requests[0]?.header('max-breadth')).toBe('1');
  expect((await withBreadth('0').response()).status).toBe(440);
  expect((await withBreadth('9').response()).status).toBe(486);
  expect(right.requests[0]?.header('max-breadth')).toBe('3');
  expect((await withBreadth().response()).status).toBe(486);
  expect(right.requests[1]?.header('max-breadth')).toBe('20');
});

it('RFC 3261 16.7: a 200 of a phone that had said nothing passes, although 487 went before it', async () => {
  left.onRequest = () => {};
  proxy.options = () => ({ targets: [{ uri: left.uri() }], recordRoute: true });
  const socket = createSocket('udp4');
  const received: string[] = [];
  socket.on('message', (bytes) => received.push(bytes.toString('latin1')));
  const send = (method: string): void => {
    const text = requestText({ method }).replace('branch=', 'rport;branch=');
    socket.send(text, proxy.port('udp'), '127.0.0.1');
  };
  send('INVITE');
  await left.request('INVITE');
  send('CANCEL');
  await waitFor(() => received.some((each) => each.startsWith('SIP/2.0 487')));
  left.transactions[0]?.reply({ status: 200, headers: [['Contact', `<${left.uri()}>`]] });
  const late = await waitFor(() =>
    received.find((each) => each.startsWith('SIP/2.0 200') && each.includes('1 INVITE')),
  );
  expect(parsedResponse(late).values('via')).toHaveLength(1);
  expect(parsedResponse(late).values('record-route')).not.toEqual([]);
  socket.close();
});
