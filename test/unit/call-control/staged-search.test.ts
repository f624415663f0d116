import { describe, expect, test } from 'vitest';
import type { CallTarget } from '../../../services/call-control/router.ts';
import { StagedSearch } from '../../../services/call-control/staged-search.ts';
import { parsedResponse, requestText, responseTo } from '../sip/messages.ts';

const phone: CallTarget = { kind: 'binding', uri: 'sip:1002@192.0.2.1' };
const peer: CallTarget = { kind: 'peer', uri: 'sip:1002@lastcall.test' };
const gateway: CallTarget = { kind: 'gateway', uri: 'sip:1002@lastcall.test' };
const said = (status: number, ...extra: string[]) =>
  parsedResponse(responseTo(requestText(), status, 'b1', extra));
const OFFLINE = 'X-Lastcall-Offline: b';

describe('a phone here', () => {
  test('that answers ends the search, whatever it says (F11)', () => {
    for (const status of [480, 486, 404, 500, 603]) {
      const search = new StagedSearch([[peer]]);
      search.answered(phone, said(status));
      expect(search.next()).toBeUndefined();
    }
  });

  test('that rings and then falls silent ends it too', () => {
    const search = new StagedSearch([[peer]]);
    search.heard(phone);
    search.answered(phone, undefined);
    expect(search.next()).toBeUndefined();
  });

  test('that is silent or gone leads on to the peer sites, and they to nothing more', () => {
    const search = new StagedSearch([[peer], [gateway]]);
    search.answered(phone, undefined);
    expect(search.next()).toEqual([peer]);
    search.answered(peer, said(480, OFFLINE));
    expect(search.next()).toEqual([gateway]);
  });

  test('whose connection another process has lost is not there', () => {
    const search = new StagedSearch([[peer]]);
    search.answered(phone, said(480, OFFLINE));
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
    const search = new StagedSearch([]);
    search.answered(peer, response);
    expect(search.peerReached).toBe(false);
    expect(search.next()).toEqual({ status: 480 });
  });

  test.each([480, 486, 487, 408, 603, 200])(
    'that found the callee writes the call, and its %i passes unchanged',
    (status) => {
      const search = new StagedSearch([[gateway]]);
      search.answered(peer, said(status));
      expect(search.peerReached).toBe(true);
      expect(search.next()).toBeUndefined();
    },
  );
});

describe('a callee who is to be called elsewhere (302)', () => {
  test('is there, here or at a peer site, which leaves the call to the site of the caller', () => {
    for (const target of [phone, peer]) {
      const search = new StagedSearch([[gateway]]);
      search.heard(target);
      search.answered(target, said(302));
      expect(search.redirect?.status).toBe(302);
      expect(search.peerReached).toBe(false);
      expect(search.next()).toBeUndefined();
    }
  });

  test("is not what a gateway's 302 or another answer says", () => {
    const search = new StagedSearch([]);
    search.answered(gateway, said(302));
    search.answered(phone, said(300));
    expect(search.redirect).toBeNull();
  });
});

test('without peer sites the last answer passes as it is', () => {
  const search = new StagedSearch([]);
  search.answered(phone, undefined);
  expect(search.next()).toBeUndefined();
});
