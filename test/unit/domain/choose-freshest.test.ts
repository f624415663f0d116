import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFreshest, type Source } from '../../../shared/domain/choose-freshest.ts';
import { groupsOf } from '../../../shared/domain/feature-call.ts';
import type { ForgetMark } from '../../../shared/domain/forget.ts';
import { callGroup, emptyLastCalls, GROUP_NAMES, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { aMark, aRow } from './arbitraries.ts';

const row = (fields: Partial<LastCalls> = {}): LastCalls => ({ ...emptyLastCalls(7), ...fields });
const dialed = (at: number, number: string | null): LastCalls =>
  row({ dialed: callGroup(micros(at), { number }) });
const table = (site: string, entry: LastCalls | null): Source => ({ site, row: entry });
const unreadable = (site: string): Source => ({ site, unreadable: 'timeout' });
const redial = (sources: readonly Source[], marks: readonly ForgetMark[] = []) =>
  chooseFreshest(['dialed'], sources, marks);

describe('choosing the freshest', () => {
  it('C1 no row anywhere is no data', () => {
    expect(redial([table('a', null), table('b', null)])).toEqual({ kind: 'none' });
  });

  it('C1 the group empty in every table is no data', () => {
    const missedOnly = row({ received: callGroup(micros(3), { number: '1' }) });
    expect(redial([table('a', row()), table('b', missedOnly)])).toEqual({ kind: 'none' });
  });

  it('C2 a row in one table only is used', () => {
    const choice = redial([table('a', null), table('b', dialed(1, '1002'))]);
    expect(choice).toMatchObject({ kind: 'number', number: '1002', site: 'b', degraded: [] });
  });

  it('C3 the group empty in all tables but one: that one', () => {
    const choice = redial([table('a', row()), table('b', dialed(1, '1002'))]);
    expect(choice).toMatchObject({ kind: 'number', number: '1002', site: 'b' });
  });

  it('C4 the newest date wins, to the microsecond', () => {
    const at = 1_763_690_820_123_456;
    const choice = redial([table('a', dialed(at, '1002')), table('b', dialed(at + 1, '1003'))]);
    expect(choice).toMatchObject({ kind: 'number', number: '1003', site: 'b' });
  });

  it('C4 at equal dates the lower site id wins, whatever the order', () => {
    const sources = [
      table('b', dialed(5, '1003')),
      table('a', dialed(5, '1002')),
      table('c', dialed(5, '9')),
    ];
    expect(redial(sources)).toMatchObject({ number: '1002', site: 'a' });
    expect(redial(sources.toReversed())).toMatchObject({ number: '1002', site: 'a' });
  });

  it('C5 a withheld last caller never falls back to an older number', () => {
    const older = row({ received: callGroup(micros(4), { number: '1002' }) });
    const withheld = row({ received: callGroup(micros(5), { callId: 'x' }), unknownPaiAt: micros(5) });
    expect(chooseFreshest(['received'], [table('a', older), table('b', withheld)], [])).toEqual({
      kind: 'withheld',
      site: 'b',
      at: 5,
      degraded: [],
    });
  });

  it('C5 an erased last caller never falls back to an older number and is not called withheld', () => {
    const older = row({ received: callGroup(micros(4), { number: '1002', callId: 'x' }) });
    const erased = row({ received: callGroup(micros(5)), unknownPaiAt: micros(4) });
    expect(chooseFreshest(['received'], [table('a', older), table('b', erased)], [])).toMatchObject({
      kind: 'erased',
      at: 5,
    });
  });

  it('C5 a missed withheld call stays withheld after a later withheld call was answered', () => {
    const both = row({
      received: callGroup(micros(4), { callId: 'missed' }),
      terminated: callGroup(micros(6), { callId: 'answered' }),
      unknownPaiAt: micros(6),
    });
    expect(chooseFreshest(['received'], [table('a', both)], [])).toMatchObject({ kind: 'withheld', at: 4 });
  });

  it('C5 a script that leaves the number empty has written no number', () => {
    expect(redial([table('a', dialed(5, ''))])).toMatchObject({ kind: 'withheld', at: 5 });
  });

  it('C6 one table cannot be read and another has a row: that one, degraded', () => {
    const choice = redial([unreadable('a'), table('b', dialed(1, '1002'))]);
    expect(choice).toMatchObject({ kind: 'number', number: '1002', degraded: ['a'] });
  });

  it('C6 pending writes that cannot be read degrade the answer under their own name', () => {
    const journal: Source = { site: 'a', pending: true, unreadable: 'Redis is down' };
    expect(redial([journal, table('b', dialed(1, '1002'))])).toMatchObject({ degraded: ['pending'] });
  });

  it('C7 no source can be read is not the same as no data', () => {
    expect(redial([unreadable('a'), unreadable('b')])).toEqual({ kind: 'unreadable', degraded: ['a', 'b'] });
  });

  it('C7 nothing found where one table could not be read is not the same as no data either', () => {
    expect(redial([unreadable('a'), table('b', null)])).toEqual({ kind: 'unreadable', degraded: ['a'] });
  });

  it('C8 the pending writes of this site are one more source', () => {
    const pending: Source = { site: 'a', pending: true, row: dialed(9, '1004') };
    expect(redial([table('a', dialed(3, '1002')), pending, table('b', dialed(8, '1003'))])).toMatchObject({
      number: '1004',
      site: 'a',
    });
  });

  it('C9 an entry not newer than the forget mark is ignored wherever it stands', () => {
    const sources: Source[] = [
      table('a', dialed(4, '1002')),
      { site: 'a', pending: true, row: dialed(5, '1003') },
    ];
    expect(redial(sources, [{ scope: 'dialed', forgottenAt: micros(5) }])).toEqual({ kind: 'none' });
    expect(redial(sources, [{ scope: 'all', forgottenAt: micros(5) }])).toEqual({ kind: 'none' });
    expect(redial(sources, [{ scope: 'terminal', forgottenAt: micros(5) }])).toEqual({ kind: 'none' });
  });

  it('C9 an entry newer than the mark, or of another group, is not touched by it', () => {
    const sources = [table('a', dialed(6, '1002'))];
    expect(redial(sources, [{ scope: 'all', forgottenAt: micros(5) }])).toMatchObject({ number: '1002' });
    expect(redial(sources, [{ scope: 'received', forgottenAt: micros(9) }])).toMatchObject({
      number: '1002',
    });
  });

  it('F18 call return uses missed calls, or with `any` the freshest of missed and answered', () => {
    const calls = row({
      received: callGroup(micros(4), { number: 'missed' }),
      terminated: callGroup(micros(5), { number: 'answered' }),
    });
    const choose = (source: 'missed' | 'any') =>
      chooseFreshest(groupsOf('return', source), [table('a', calls)], []);
    expect(choose('missed')).toMatchObject({ number: 'missed' });
    expect(choose('any')).toMatchObject({ number: 'answered' });
    expect(groupsOf('redial', 'any')).toEqual(['dialed']);
  });
});

describe('the order of the tables', () => {
  const aSource: fc.Arbitrary<Source> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ site: aSite(), pending: fc.boolean(), row: aRow }) },
    { weight: 1, arbitrary: fc.record({ site: aSite(), row: fc.constant(null) }) },
    { weight: 1, arbitrary: fc.record({ site: aSite(), unreadable: fc.constant('timeout') }) },
  );
  const someGroups = fc.subarray([...GROUP_NAMES], { minLength: 1 });

  it('does not matter, nor does the order of the marks', () => {
    const sources = fc.array(aSource, { maxLength: 5 });
    const marks = fc.array(aMark, { maxLength: 2 });
    fc.assert(
      fc.property(someGroups, sources, marks, fc.nat(), (groups, given, forgotten, turn) => {
        const shuffled = rotated(given, turn).toReversed();
        const expected = chooseFreshest(groups, given, forgotten);
        const actual = chooseFreshest(groups.toReversed(), shuffled, forgotten.toReversed());
        expect(sorted(actual)).toEqual(sorted(expected));
      }),
      { numRuns: 1000 },
    );
  });

  it('S2 reading a source twice changes nothing', () => {
    fc.assert(
      fc.property(someGroups, fc.array(aSource, { maxLength: 4 }), (groups, given) => {
        const twice = chooseFreshest(groups, [...given, ...given], []);
        expect(unique(twice)).toEqual(unique(chooseFreshest(groups, given, [])));
      }),
    );
  });

  function aSite() {
    return fc.constantFrom('a', 'b', 'c');
  }
  function rotated<T>(list: readonly T[], turn: number): T[] {
    const at = list.length === 0 ? 0 : turn % list.length;
    return [...list.slice(at), ...list.slice(0, at)];
  }
  function sorted(choice: ReturnType<typeof chooseFreshest>) {
    return 'degraded' in choice ? { ...choice, degraded: choice.degraded.toSorted() } : choice;
  }
  function unique(choice: ReturnType<typeof chooseFreshest>) {
    return 'degraded' in choice ? { ...choice, degraded: [...new Set(choice.degraded)].sort() } : choice;
  }
});
