import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Target } from '../../shared/sip/proxy/types.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { waitFor } from '../support/wait-for.ts';
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

const call = (method = 'INVITE'): Outgoing =>
  caller.send({ method, uri: 'sip:callee@example.com', hop: { uri: proxy.uri() } });

const answering =
  (status: number, headers: readonly (readonly [string, string])[] = []) =>
  (_request: unknown, transaction: ServerTransaction): void => {
    transaction.reply({ status, headers });
  };

/** Rings until cancelled, then answers 487. */
function ringing(_request: unknown, transaction: ServerTransaction): void {
  transaction.user = { onCancel: () => transaction.reply({ status: 487 }) };
  transaction.reply({ status: 180 });
}

describe('parallel forking (RFC 3261 16.7)', () => {
  it('the first 2xx passes and the other branch is cancelled', async () => {
    left.onRequest = ringing;
    right.onRequest = (_request, transaction) => {
      transaction.reply({ status: 183 });
      void waitFor(() => left.transactions[0]).then(() => transaction.reply({ status: 200 }));
    };
    expect((await call().response()).status).toBe(200);
    await waitFor(() => left.transactions[0]?.cancelled, { what: 'the CANCEL to the other' });
    expect(proxy.outcomes).toEqual(['answered']);
  });

  it('every 2xx passes, also the second (item 5)', async () => {
    const invite = call();
    await waitFor(() => invite.responses.filter((each) => each.status === 200).length === 2);
    expect(new Set(invite.responses.map((each) => each.to?.tag)).size).toBeGreaterThanOrEqual(2);
    expect(proxy.outcomes).toEqual(['answered']);
  });

  it.each([
    [486, 480, 486],
    [404, 603, 603],
    [302, 486, 302],
    [500, 404, 404],
    [480, 484, 484],
  ])('of %i and %i the best is %i (item 6)', async (first, second, best) => {
    left.onRequest = answering(first);
    right.onRequest = answering(second);
    expect((await call().response()).status).toBe(best);
    expect(proxy.outcomes).toEqual([`rejected ${best}`]);
  });

  it('a 6xx cancels the branches that still ring', async () => {
    left.onRequest = ringing;
    right.onRequest = (_request, transaction) => {
      void waitFor(() => left.transactions[0]).then(() => transaction.reply({ status: 603 }));
    };
    expect((await call().response()).status).toBe(603);
    await waitFor(() => left.transactions[0]?.cancelled);
  });

  it('a 407 carries the challenges of every branch (item 7)', async () => {
    left.onRequest = answering(407, [['Proxy-Authenticate', 'Digest realm="left", nonce="1"']]);
    right.onRequest = answering(401, [['WWW-Authenticate', 'Digest realm="right", nonce="2"']]);
    const response = await call().response();
    expect(response.header('proxy-authenticate')).toContain('realm="left"');
    expect(response.header('www-authenticate')).toContain('realm="right"');
  });

  it('a 503 becomes 500 (item 6)', async () => {
    left.onRequest = answering(503);
    right.onRequest = answering(503);
    expect((await call().response()).status).toBe(500);
  });

  it('no target at all is 480', async () => {
    proxy.options = () => ({ targets: [] });
    expect((await call().response()).status).toBe(480);
    expect(proxy.outcomes).toEqual(['rejected 480']);
  });

  it('each copy may differ, hooks hear which target said what', async () => {
    const heard: string[] = [];
    const named = (name: string, peer: SipPeer): Target => ({
      uri: peer.uri(),
      edit: (draft) => draft.append('X-Target', name),
      route: [`<${peer.uri()};lr>`],
    });
    const targets = [named('left', left), named('right', right)];
    left.onRequest = answering(486);
    right.onRequest = answering(480);
    proxy.options = () => ({
      targets,
      edit: (draft) => draft.set('X-Common', 'yes'),
      editResponse: (draft) => draft.append('X-Passed', 'yes'),
      onTargetFinal: (status, target) => heard.push(`${target === targets[0] ? 'left' : 'right'} ${status}`),
    });
    expect((await call().response()).header('x-passed')).toBe('yes');
    expect(heard.toSorted()).toEqual(['left 486', 'right 480']);
    const request = await right.request('INVITE');
    expect([request.header('x-target'), request.header('x-common')]).toEqual(['right', 'yes']);
    expect(request.header('route')).toBe(`<${right.uri()};lr>`);
  });
});

describe('serial forking', () => {
  it("goes on with further targets, and the last word is the owner's", async () => {
    left.onRequest = answering(486);
    right.onRequest = answering(404);
    const seen: number[] = [];
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onExhausted: (status) => {
        seen.push(status);
        return status === 486 ? [{ uri: right.uri() }] : { status: 480, reason: 'Nobody There' };
      },
    });
    const response = await call().response();
    expect([response.status, response.reason]).toEqual([480, 'Nobody There']);
    expect(seen).toEqual([486, 404]);
    expect(proxy.outcomes).toEqual(['rejected 480']);
  });

  it('abandon answers at once and cancels what rings', async () => {
    left.onRequest = ringing;
    right.onRequest = ringing;
    const invite = call();
    await invite.response(180);
    proxy.forwarding?.abandon({ status: 480, reason: 'No Answer' });
    expect((await invite.response()).reason).toBe('No Answer');
    await waitFor(() => left.transactions[0]?.cancelled && right.transactions[0]?.cancelled);
    expect(proxy.outcomes).toEqual(['abandoned 480']);
  });
});

describe('CANCEL (RFC 3261 16.10)', () => {
  it('is answered 200 and reaches every ringing branch; their 487 goes upstream', async () => {
    left.onRequest = ringing;
    right.onRequest = ringing;
    const invite = call();
    await waitFor(() => invite.statuses.filter((status) => status === 180).length === 2);
    invite.transaction?.cancel();
    expect((await invite.response()).status).toBe(487);
    expect(left.transactions[0]?.cancelled && right.transactions[0]?.cancelled).toBe(true);
    expect(proxy.outcomes).toEqual(['cancelled']);
    expect(left.requests.every((request) => request.method === 'INVITE')).toBe(true);
  });

  it('before the request is forwarded: 487 and no INVITE leaves', async () => {
    let forward = (): void => {};
    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    const held = new SipPeer([{ transport: 'udp', host: '127.0.0.1', port: 0 }]);
    held.onRequest = (_request, transaction) => {
      transaction.trying();
      forward = () => transaction.reply({ status: transaction.cancelled ? 487 : 500 });
    };
    await held.server.start();
    const invite = caller.send({ uri: 'sip:callee@example.com', hop: { uri: held.uri() } });
    await waitFor(() => invite.transaction);
    invite.transaction?.cancel();
    await waitFor(() => held.transactions[0]?.cancelled);
    forward();
    expect((await invite.response()).status).toBe(487);
    await held.stop();
  });

  it('a 200 that crosses the CANCEL still passes', async () => {
    left.onRequest = (_request, transaction) => {
      transaction.user = { onCancel: () => transaction.reply({ status: 200 }) };
      transaction.reply({ status: 180 });
    };
    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    const invite = call();
    await invite.response(180);
    invite.transaction?.cancel();
    expect((await invite.response()).status).toBe(200);
    expect(proxy.outcomes).toEqual(['answered']);
  });
});

describe('serial forking: what to do when all have failed', () => {
  it('may be decided later, and the caller hears only what comes of that', async () => {
    left.onRequest = answering(302);
    right.onRequest = answering(200);
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onExhausted: async () => [{ uri: right.uri() }],
    });
    const invite = call();
    expect((await invite.response()).status).toBe(200);
    expect(invite.responses.map((each) => each.status)).toEqual([100, 200]);
    expect(proxy.outcomes).toEqual(['answered']);
  });

  it('a CANCEL while it is being decided is 487 and no further INVITE leaves', async () => {
    left.onRequest = answering(302);
    let decide = (_targets: Target[]): void => {};
    const decided = new Promise<Target[]>((resolve) => {
      decide = resolve;
    });
    let asked = false;
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onExhausted: () => {
        asked = true;
        return decided;
      },
    });
    const invite = call();
    await waitFor(() => asked, { what: 'the decision to be asked for' });
    invite.transaction?.cancel();
    await waitFor(() => proxy.transactions[0]?.cancelled, { what: 'the CANCEL' });
    decide([{ uri: right.uri() }]);
    expect((await invite.response()).status).toBe(487);
    expect(right.requests).toEqual([]);
    expect(proxy.outcomes).toEqual(['cancelled']);
  });

  it('a decision that fails is reported, and the best response passes', async () => {
    left.onRequest = answering(302);
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onExhausted: () => Promise.reject(new Error('no lookup')),
    });
    expect((await call().response()).status).toBe(302);
    expect(proxy.faults.splice(0).map(({ error }) => String(error))).toEqual(['Error: no lookup']);
  });
});

describe('targets that cannot be reached (RFC 3261 16.8, 16.9)', () => {
  /** A proxy whose timers B and F end after 1.3 s. */
  async function hurry(): Promise<void> {
    await proxy.server.stop();
    proxy = new ProxyUnderTest(['udp'], { timers: { t1: 20 } });
    await proxy.server.start();
  }

  it('silence is 408 after timer B', async () => {
    await hurry();
    const silent = await SipPeer.start('udp');
    const uri = silent.uri();
    await silent.stop();
    proxy.options = () => ({ targets: [{ uri }] });
    expect((await call().response()).status).toBe(408);
    expect(proxy.outcomes).toEqual(['rejected 408']);
  });

  it('RFC 4320 4.2: silence to a non-INVITE request is not answered at all', async () => {
    await hurry();
    left.onRequest = () => {};
    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    call('MESSAGE');
    await waitFor(() => proxy.outcomes.length > 0, { what: 'timer F' });
    expect(proxy.outcomes).toEqual(['rejected 408']);
    expect(proxy.server.transactions.pending).toBe(0);
  });

  it.each(['sip:callee@127.0.0.1:9;transport=tcp', 'sip:callee@nowhere.invalid', 'tel:+1234'])(
    'a target without a way to it, %s, is 500 when it is the only one and 486 beside a busy one',
    async (uri) => {
      left.onRequest = answering(486);
      proxy.options = () => ({ targets: [{ uri }] });
      expect((await call().response()).status).toBe(500);
      proxy.options = () => ({ targets: [{ uri }, { uri: left.uri() }] });
      expect((await call().response()).status).toBe(486);
    },
  );

  it('timer C cancels what rings too long (16.6 item 11)', async () => {
    await proxy.server.stop();
    proxy = new ProxyUnderTest(['udp'], {}, { timerCMs: 200 });
    await proxy.server.start();
    left.onRequest = ringing;
    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    expect((await call().response()).status).toBe(487);
    expect(proxy.outcomes).toEqual(['rejected 487']);
  });
});

describe('request validation (RFC 3261 16.3)', () => {
  it('a loop is answered 482', async () => {
    proxy.options = (request) => ({ targets: [{ uri: request.requestUri, nextHop: proxy.uri() }] });
    expect((await call().response()).status).toBe(482);
  });

  it('a spiral, back under another Request-URI, passes', async () => {
    left.onRequest = answering(200);
    proxy.options = (request) =>
      request.requestUri.includes('callee')
        ? { targets: [{ uri: 'sip:other@example.com', nextHop: proxy.uri() }] }
        : { targets: [{ uri: left.uri() }] };
    expect((await call().response()).status).toBe(200);
    expect((await left.request('INVITE')).values('via')).toHaveLength(3);
  });

  it('Proxy-Require of something unknown is 420 with Unsupported', async () => {
    const headers = [['Proxy-Require', 'one, two']] as const;
    const invite = caller.send({ uri: 'sip:callee@example.com', hop: { uri: proxy.uri() }, headers });
    const response = await invite.response();
    expect([response.status, response.header('unsupported')]).toEqual([420, 'one, two']);
  });
});

describe('Route (RFC 3261 16.4)', () => {
  it('a preloaded Route to this server is popped, one further on is followed', async () => {
    left.onRequest = answering(200);
    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    const own = [['Route', `<${proxy.uri()}>`]] as const;
    const first = caller.send({ uri: 'sip:callee@example.com', hop: { uri: proxy.uri() }, headers: own });
    expect((await first.response()).status).toBe(200);
    const further = [['Route', `<${proxy.uri()}>, <${right.uri()};lr>`]] as const;
    const second = caller.send({
      uri: 'sip:callee@example.com',
      hop: { uri: proxy.uri() },
      headers: further,
    });
    expect((await second.response()).status).toBe(200);
    const request = await right.request('INVITE');
    expect([request.requestUri, request.header('route')]).toEqual([
      'sip:callee@example.com',
      `<${right.uri()};lr>`,
    ]);
  });

  it('a Route that this server did not sign opens no way through it', async () => {
    const headers = [['Route', `<${proxy.uri().replace('sip:', 'sip:AAAAAAAAAAAAAAAA@')}>`]] as const;
    proxy.options = () => ({ targets: [] });
    const forged = caller.send({
      uri: left.uri(),
      hop: { uri: proxy.uri() },
      headers: headers,
    });
    expect((await forged.response()).status).toBe(480);
    expect(left.requests).toEqual([]);
  });
});
