import { describe, expect, test } from 'vitest';
import type { CallTarget, Stages } from '../../../services/call-control/router.ts';
import { StagedSearch } from '../../../services/call-control/staged-search.ts';
import { TimerWheel } from '../../../shared/sip/transaction/timer-wheel.ts';
import { parsedResponse, requestText, responseTo } from '../sip/messages.ts';

const phone: CallTarget = { kind: 'binding', uri: 'sip:1002@192.0.2.1' };
const handedOver: CallTarget = { kind: 'binding', uri: 'sip:1002@192.0.2.3', nextHop: 'sip:192.0.2.9' };
const peer: CallTarget = { kind: 'peer', uri: 'sip:1002@lastcall.test' };
const gateway: CallTarget = { kind: 'gateway', uri: 'sip:1002@lastcall.test' };
const wheel = new TimerWheel();
const SILENCE = { wheel, nextStageMs: 2_000 };
const searchFor = (...later: Stages) => new StagedSearch([[phone], ...later], SILENCE);
const said = (status: number, ...extra: string[]) =>
  parsedResponse(responseTo(requestText(), status, 'b1', extra));
const OFFLINE = 'X-Lastcall-Offline: b';

describe('a phone here', () => {
  test('that answers ends the search, whatever it says (F11)', () => {
    for (const status of [480, 486, 404, 500, 603]) {
      const search = searchFor([peer]);
      search.answered(phone, said(status));
      expect(search.next()).toBeUndefined();
    }
  });

  test('that rings and then falls silent ends it too', () => {
    const search = searchFor([peer]);
    search.heard(phone);
    search.answered(phone, undefined);
    expect(search.next()).toBeUndefined();
  });

  test('that is silent or gone leads on to the peer sites, and they to nothing more', () => {
    const search = searchFor([peer], [gateway]);
    search.answered(phone, undefined);
    expect(search.next()).toEqual([peer]);
    search.answered(peer, said(480, OFFLINE));
    expect(search.next()).toEqual([gateway]);
  });

  test.each([
    ['has lost', said(480, OFFLINE)],
    ['gives to nobody, going down', said(503)],
    ['gives to nobody, having other keys', said(403)],
  ])('whose flow another process of the site %s is not there', (_why, response) => {
    const search = new StagedSearch([[handedOver], [peer]], SILENCE);
    search.answered(handedOver, response);
    expect(search.next()).toEqual([peer]);
  });

  test('whose connection another process holds, which drains, is not there', () => {
    const held: CallTarget = { ...phone, nextHop: 'sip:127.0.0.1:5060;lr' };
    const search = new StagedSearch([[held], [peer]], SILENCE);
    search.answered(held, said(503));
    expect(search.next()).toEqual([peer]);
  });
});

describe('R15 a peer site', () => {
  test.each([
    ['offline', said(480, OFFLINE)],
    ['unknown number', said(404)],
    ['takes no calls', said(503)],
    ['does not trust this one', said(407)],
    ['silent', undefined],
  ])('without the callee (%s) leaves the call to this site: 480', (_why, response) => {
    const search = searchFor();
    search.answered(peer, response);
    expect(search.peerReached).toBe(false);
    expect(search.next()).toEqual({ status: 480 });
  });

  test.each([480, 486, 487, 408, 603, 200])(
    'that found the callee writes the call, and its %i passes unchanged',
    (status) => {
      const search = searchFor([gateway]);
      search.answered(peer, said(status));
      expect(search.peerReached).toBe(true);
      expect(search.next()).toBeUndefined();
    },
  );
});

describe('a callee who is to be called elsewhere (302)', () => {
  test('is there, here or at a peer site, which leaves the call to the site of the caller', () => {
    for (const target of [phone, peer]) {
      const search = searchFor([gateway]);
      search.heard(target);
      search.answered(target, said(302));
      expect(search.redirect?.status).toBe(302);
      expect(search.peerReached).toBe(false);
      expect(search.next()).toBeUndefined();
    }
  });

  test("is not what a gateway's 302 or another answer says", () => {
    const search = searchFor();
    search.answered(gateway, said(302));
    search.answered(phone, said(300));
    expect(search.redirect).toBeNull();
  });
});

test('without peer sites the last answer passes as it is', () => {
  const search = searchFor();
  search.answered(phone, undefined);
  expect(search.next()).toBeUndefined();
});

/** A search under way: what it asks for and whom it gives up, as the forwarding hears it. */
class Asked {
  readonly added: string[] = [];
  readonly givenUp: CallTarget[] = [];
  readonly unheard: CallTarget[] = [];
  readonly search: StagedSearch;

  constructor(...stages: Stages) {
    const onUnheard = (target: CallTarget) => void this.unheard.push(target);
    this.search = new StagedSearch(stages, { ...SILENCE, onUnheard });
    this.search.begin({
      add: (targets) => void this.added.push(targets.map(({ kind }) => kind).join()),
      giveUp: (targets) => {
        this.givenUp.push(...targets);
        for (const target of targets) this.search.answered(target, undefined);
      },
    });
  }
}

describe('a stage that stays silent', () => {
  const second: CallTarget = { kind: 'binding', uri: 'sip:1002@192.0.2.2' };

  test('is joined by the next one after its time, and that one by the one after', () => {
    const { added, search } = new Asked([phone], [peer], [gateway]);
    wheel.advance(1_990);
    expect(added).toEqual([]);
    wheel.advance(20);
    expect(added).toEqual(['peer']);
    wheel.advance(2_010);
    expect(added).toEqual(['peer', 'gateway']);
    search.end();
  });

  test('is joined at once by the stage after the next when the next has nobody', () => {
    const { added, search } = new Asked([phone], [peer], [gateway]);
    wheel.advance(2_010);
    search.answered(peer, said(480, OFFLINE));
    expect(added).toEqual(['peer', 'gateway']);
    search.end();
  });

  test('holds back the answer of nobody who is there', () => {
    const { givenUp, search } = new Asked([phone], [peer]);
    wheel.advance(2_010);
    search.answered(peer, said(486));
    expect(givenUp).toEqual([phone]);
    expect(search.next()).toBeUndefined();
  });

  test('is waited for once nobody else is left to ask', () => {
    const { givenUp, search } = new Asked([phone], [peer]);
    wheel.advance(2_010);
    search.answered(peer, said(480, OFFLINE));
    wheel.advance(20_000);
    expect(givenUp).toEqual([]);
    search.answered(phone, undefined);
    expect(search.next()).toEqual({ status: 480 });
  });

  test('beside a phone that answers early is given up when its time has come, not before', () => {
    const { givenUp, search } = new Asked([phone, second]);
    wheel.advance(500);
    search.answered(second, said(486));
    expect(givenUp).toEqual([]);
    wheel.advance(1_510);
    expect(givenUp).toEqual([phone]);
    search.end();
  });

  test.each([
    ['rings', (search: StagedSearch) => search.heard(phone)],
    ['says 100', (search: StagedSearch) => search.trying(phone)],
  ])('is none where a phone %s', (_what, speak) => {
    const { added, search } = new Asked([phone], [peer]);
    speak(search);
    wheel.advance(10_000);
    expect(added).toEqual([]);
    search.end();
  });

  test('is one where only another process or site says 100: it knows nothing of the phone yet', () => {
    for (const target of [handedOver, peer]) {
      const { added, search, unheard } = new Asked([target], [gateway]);
      search.trying(target);
      wheel.advance(2_010);
      expect([added, unheard]).toEqual([['gateway'], []]);
      search.end();
    }
  });

  test('without even a 100 is told of', () => {
    const { search, unheard } = new Asked([handedOver]);
    wheel.advance(2_010);
    expect(unheard).toEqual([handedOver]);
    search.end();
  });
});
