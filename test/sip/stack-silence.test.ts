import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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

describe('targets that say nothing', () => {
  const silent = (): void => {};

  it('are joined by further ones while they are pending, and the first 2xx wins', async () => {
    const targets = [{ uri: left.uri() }, { uri: right.uri() }] as const;
    left.onRequest = silent;
    right.onRequest = answering(200);
    proxy.options = () => ({ targets: [targets[0]] });
    const invite = call();
    await left.request('INVITE');
    proxy.forwarding?.add([targets[1]]);
    expect((await invite.response()).status).toBe(200);
    expect(proxy.outcomes).toEqual(['answered']);
    proxy.forwarding?.add([targets[1]]);
    expect(right.requests.filter(({ method }) => method === 'INVITE')).toHaveLength(1);
  });

  it('hold back no answer once they are given up, and get a CANCEL when they speak after all', async () => {
    const targets = [{ uri: left.uri() }, { uri: right.uri() }] as const;
    left.onRequest = silent;
    right.onRequest = answering(486);
    proxy.options = () => ({ targets });
    const invite = call();
    await waitFor(() => right.transactions[0]?.finished && left.transactions[0]);
    expect(invite.responses.filter(({ status }) => status > 100)).toEqual([]);
    proxy.forwarding?.giveUp(new Set([targets[0]]));
    expect((await invite.response()).status).toBe(486);
    left.transactions[0]?.reply({ status: 180 });
    await waitFor(() => left.transactions[0]?.cancelled, { what: 'the CANCEL of the late one' });
    expect(invite.statuses).not.toContain(180);
  });

  it('tell by 100 that the next hop at least is there', async () => {
    const heard: string[] = [];
    left.onRequest = (_request, transaction) => transaction.trying();
    right.onRequest = answering(486);
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onTrying: (target) => heard.push(target.uri),
    });
    const invite = call();
    await waitFor(() => heard.length === 1, { what: 'the 100' });
    expect(heard).toEqual([left.uri()]);
    proxy.forwarding?.abandon({ status: 480 });
    await invite.response();
  });
});

describe('RFC 3326 why a branch is cancelled', () => {
  it('a branch whose call another took is told so, one that the caller gave up is not', async () => {
    const reasons: (string | undefined)[] = [];
    left.onRequest = (_request, transaction) => {
      transaction.user = {
        onCancel: (cancel) => {
          reasons.push(cancel.header('reason'));
          transaction.reply({ status: 487 });
        },
      };
      transaction.reply({ status: 180 });
    };
    right.onRequest = (_request, transaction) =>
      void waitFor(() => left.transactions[0]).then(() => transaction.reply({ status: 200 }));
    await call().response();
    await waitFor(() => reasons.length === 1);
    expect(reasons[0]).toContain('cause=200');

    proxy.options = () => ({ targets: [{ uri: left.uri() }] });
    const invite = call();
    await invite.response(180);
    invite.transaction?.cancel();
    await invite.response();
    expect(reasons).toEqual([reasons[0], undefined]);
  });

  it('what a caller says so itself is passed on, and the owner hears it', async () => {
    const elsewhere: boolean[] = [];
    const reasons: (string | undefined)[] = [];
    left.onRequest = (_request, transaction) => {
      transaction.user = {
        onCancel: (cancel) => {
          reasons.push(cancel.header('reason'));
          transaction.reply({ status: 487 });
        },
      };
      transaction.reply({ status: 180 });
    };
    proxy.options = () => ({
      targets: [{ uri: left.uri() }],
      onOutcome: (outcome) => elsewhere.push(outcome.kind === 'cancelled' && outcome.elsewhere),
    });
    const invite = call();
    await invite.response(180);
    invite.transaction?.cancel('SIP ;cause=200 ;text="picked up"');
    expect((await invite.response()).status).toBe(487);
    expect(reasons[0]).toContain('cause=200');
    expect(elsewhere).toEqual([true]);
  });
});
