import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { waitFor } from '../support/wait-for.ts';
import { requestText, responseTo } from '../unit/sip/messages.ts';
import { ProxyUnderTest } from '../unit/sip/proxy-under-test.ts';
import { SipPeer } from '../unit/sip/sip-peer.ts';

let proxy: ProxyUnderTest;
let caller: SipPeer;
let callee: SipPeer;

beforeEach(async () => {
  proxy = new ProxyUnderTest(['udp', 'tcp', 'ws']);
  await proxy.server.start();
  caller = await SipPeer.start('udp', 'tcp');
  callee = await SipPeer.start('udp', 'tcp');
});

afterEach(async () => {
  await Promise.all([proxy.server.stop(), caller.stop(), callee.stop()]);
  expect(proxy.faults).toEqual([]);
});

describe.each([
  ['udp', 'udp'],
  ['tcp', 'udp'],
  ['udp', 'tcp'],
  ['tcp', 'tcp'],
] as const)('a call from %s to %s', (from, to) => {
  it('passes bodies and unknown headers byte for byte, and the dialog both ways through Record-Route', async () => {
    const target = callee.uri(to === 'udp' ? 0 : 1);
    proxy.options = () => ({ targets: [{ uri: target }] });
    callee.onRequest = (request, transaction) => {
      if (request.method === 'INVITE') transaction.reply({ status: 180 });
      transaction.reply({ status: 200, headers: [['Contact', `<${target}>`]] });
    };
    const body = 'v=0\r\n\xc3\xa9\x00\xff\r\n';
    const invite = caller.send({
      uri: 'sip:callee@example.com',
      hop: { uri: proxy.uri(from) },
      headers: [['X-Unknown', '  ;;, "odd" \xe9']],
      body,
    });
    const answer = await invite.response();
    expect(invite.statuses).toEqual([100, 180, 200]);
    const received = await callee.request('INVITE');
    expect([received.body, received.header('x-unknown'), received.maxForwards]).toEqual([
      body,
      ';;, "odd" \xe9',
      69,
    ]);
    expect(received.requestUri).toBe(target);

    caller.sendInDialog('ACK', answer, 1);
    await waitFor(() => callee.acks.length > 0, { what: 'the ACK' });
    expect(callee.acks[0]?.indexOf('route')).toBe(-1);

    expect((await caller.sendInDialog('INFO', answer).response()).status).toBe(200);
    const back = callee.sendBack('BYE', received, answer.to?.tag ?? '');
    expect((await back.response()).status).toBe(200);
    expect((await caller.request('BYE')).indexOf('route')).toBe(-1);
    expect(proxy.outcomes[0]).toBe('answered');
  });
});

describe('a browser over WebSocket (RFC 7118)', () => {
  let socket: WebSocket;
  let received: string[];

  beforeEach(async () => {
    received = [];
    socket = new WebSocket(`ws://127.0.0.1:${proxy.port('ws')}`, 'sip');
    socket.on('message', (data) => received.push(data.toString()));
    await new Promise((resolve) => socket.once('open', resolve));
  });

  afterEach(() => socket.terminate());

  it('calls, and requests of the callee find their way back over its connection', async () => {
    proxy.options = () => ({ targets: [{ uri: callee.uri() }] });
    callee.onRequest = (_request, transaction) => {
      transaction.reply({ status: 200, headers: [['Contact', `<${callee.uri()}>`]] });
    };
    const contact = 'Contact: <sip:browser@df7jal23ls0d.invalid;transport=ws>';
    const invite = requestText({ extra: [contact] }).replace('UDP 192.0.2.1:5060', 'WS df7jal23ls0d.invalid');
    socket.send(invite);
    const ok = await waitFor(() => received.find((each) => each.startsWith('SIP/2.0 200')));
    const request = await callee.request('INVITE');
    expect(request.values('record-route')).toHaveLength(2);
    const bye = callee.sendBack('BYE', request, /;tag=(\S+)/.exec(/To:.*/.exec(ok)?.[0] ?? '')?.[1] ?? '');
    const byeText = await waitFor(() => received.find((each) => each.startsWith('BYE ')));
    expect(byeText).toContain('BYE sip:browser@df7jal23ls0d.invalid;transport=ws SIP/2.0');
    socket.send(responseTo(byeText, 200));
    expect((await bye.response()).status).toBe(200);
  });

  it('is called over the flow it registered with; a closed one answers 480', async () => {
    socket.send(requestText({ method: 'REGISTER', uri: 'sip:example.com', branch: 'z9hG4bKreg' }));
    const flow = await waitFor(() => proxy.transactions[0]?.source);
    expect(proxy.server.flow(flow.token)).toBe(flow);
    proxy.options = () => ({ targets: [{ uri: 'sip:browser@x.invalid;transport=ws', flow }] });
    const invite = caller.send({ uri: 'sip:browser@example.com', hop: { uri: proxy.uri() } });
    const inviteText = await waitFor(() => received.find((each) => each.startsWith('INVITE ')));
    expect(inviteText).toContain('Via: SIP/2.0/WS 127.0.0.1');
    socket.send(responseTo(inviteText, 486));
    expect((await invite.response()).status).toBe(486);
    socket.close();
    await waitFor(() => !flow.open, { what: 'the flow to close' });
    const later = caller.send({ uri: 'sip:browser@example.com', hop: { uri: proxy.uri() } });
    expect((await later.response()).status).toBe(480);
    expect(proxy.server.flow(flow.token)).toBeUndefined();
  });

  it('must offer the subprotocol sip (RFC 7118 4.1)', async () => {
    const stranger = new WebSocket(`ws://127.0.0.1:${proxy.port('ws')}`);
    const error = await new Promise<Error>((resolve) => stranger.once('error', resolve));
    expect(error.message).toContain('400');
  });
});
