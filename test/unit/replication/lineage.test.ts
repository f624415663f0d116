import { describe, expect, test } from 'vitest';
import {
  decideStream,
  isContained,
  type PublisherView,
  parseTimelineHistory,
  type StoredPosition,
} from '../../../shared/domain/lineage.ts';
import { formatLsn, lagBytes, parseLsn } from '../../../shared/domain/lsn.ts';

const stored: StoredPosition = {
  systemIdentifier: '7000',
  timeline: 1,
  slot: 'lastcall_b',
  generation: 3n,
  lsn: parseLsn('0/5000'),
};
const publisher: PublisherView = {
  systemIdentifier: '7000',
  timeline: 1,
  inRecovery: false,
  flushLsn: parseLsn('0/9000'),
  slot: {
    walStatus: 'reserved',
    invalidationReason: null,
    confirmedFlushLsn: parseLsn('0/4000'),
    failover: false,
  },
};

const reasonFor = (changes: Partial<PublisherView>, position: StoredPosition | null = stored): string => {
  const decision = decideStream(position, { ...publisher, ...changes });
  return decision.action === 'stream' ? 'stream' : decision.reason;
};

describe('rule 1 a position is a system identifier, a timeline, a slot and an LSN', () => {
  test('all as stored: stream from the stored LSN', () => {
    expect(decideStream(stored, publisher)).toEqual({ action: 'stream', from: stored.lsn });
  });

  test('nothing stored, or forgotten for a resynchronisation that did not end', () => {
    expect(reasonFor({}, null)).toBe('never-synchronised');
    expect(reasonFor({}, { ...stored, lsn: parseLsn('0/0') })).toBe('never-synchronised');
  });

  test('another system is never streamed, wherever its LSN stands', () => {
    expect(reasonFor({ systemIdentifier: '7001' })).toBe('system-changed');
  });

  test('a log that ends before the position is that of a server put back from a copy of its files', () => {
    expect(reasonFor({ flushLsn: parseLsn('0/5000') })).toBe('stream');
    expect(reasonFor({ flushLsn: parseLsn('0/4fff') })).toBe('position-ahead');
  });

  test('rule 29 a last beat that the publisher never wrote, or no longer knows, is a resynchronisation, whatever the LSNs say', () => {
    expect(reasonFor({ beatFault: 'rolled-back' })).toBe('rolled-back');
    expect(reasonFor({ beatFault: 'rolled-back', slot: null })).toBe('rolled-back');
    expect(reasonFor({ beatFault: 'history-expired' })).toBe('history-expired');
    expect(reasonFor({ beatFault: null })).toBe('stream');
  });

  test('rule 29 a verdict stands until the copy is made anew, though nothing shows it any more', () => {
    expect(reasonFor({}, { ...stored, verdict: 'position-ahead' })).toBe('position-ahead');
    expect(reasonFor({}, { ...stored, verdict: null })).toBe('stream');
    expect(reasonFor({}, { ...stored, verdict: 'position-ahead', lsn: parseLsn('0/0') })).toBe(
      'never-synchronised',
    );
  });

  test('a standby is waited for', () => {
    expect(reasonFor({ inRecovery: true, slot: null })).toBe('in-recovery');
  });
});

describe('rule 3 the slot tells of gaps', () => {
  const slot = publisher.slot as NonNullable<PublisherView['slot']>;

  test('no slot, or one that the publisher dropped on purpose, with the reason', () => {
    expect(reasonFor({ slot: null })).toBe('slot-missing');
    expect(reasonFor({ slot: null, droppedBecause: 'slot-over-budget' })).toBe('slot-over-budget');
  });

  test('an invalidated slot', () => {
    expect(reasonFor({ slot: { ...slot, walStatus: 'lost' } })).toBe('slot-lost');
    expect(reasonFor({ slot: { ...slot, invalidationReason: 'idle_timeout' } })).toBe('slot-lost');
  });

  test('a slot at the stored position is whole, one byte further is a gap', () => {
    expect(reasonFor({ slot: { ...slot, confirmedFlushLsn: parseLsn('0/5000') } })).toBe('stream');
    expect(reasonFor({ slot: { ...slot, confirmedFlushLsn: parseLsn('0/5001') } })).toBe('gap');
  });
});

describe('rule 21 a copy holds nothing that its promoted publisher lacks', () => {
  const promoted = { ...publisher, timeline: 2, switchPoints: new Map([[1, parseLsn('0/5000')]]) };
  const cases: readonly [string, boolean, Partial<StoredPosition>, string, Partial<PublisherView>][] = [
    ['read up to the switch', true, {}, '0/5000', {}],
    ['read beyond it', false, { lsn: parseLsn('0/5001') }, '0/0', {}],
    ['one kind copied beyond it', false, {}, '0/5001', {}],
    ['from a timeline that the history does not name', false, {}, '0/0', { switchPoints: new Map() }],
    ['from the same timeline', false, {}, '0/0', { timeline: 1 }],
    ['from another cluster', false, {}, '0/0', { systemIdentifier: '8' }],
    ['with a verdict', false, { verdict: 'rolled-back' }, '0/0', {}],
    ['with a beat that is none of the publisher', false, {}, '0/0', { beatFault: 'rolled-back' }],
    ['half-made', false, { lsn: parseLsn('0/0') }, '0/0', {}],
  ];
  test.each(cases)('%s: %s', (_, expected, position, read, view) => {
    expect(isContained({ ...stored, ...position }, parseLsn(read), { ...promoted, ...view })).toBe(expected);
  });
});

describe('rule 18 a new timeline', () => {
  const slot = { ...(publisher.slot as NonNullable<PublisherView['slot']>), failover: true };
  const switched = (at: string): Partial<PublisherView> => ({
    timeline: 2,
    slot,
    switchPoints: new Map([[1, parseLsn(at)]]),
  });

  test('is streamed over a failover slot when the position lies before the switch', () => {
    expect(reasonFor(switched('0/6000'))).toBe('stream');
    expect(reasonFor(switched('0/5000'))).toBe('stream');
  });

  test('is not streamed from a position beyond the switch', () => {
    expect(reasonFor(switched('0/4FFF'))).toBe('position-ahead');
  });

  test('is not streamed over a plain slot, an unknown history or backwards', () => {
    expect(reasonFor({ ...switched('0/6000'), slot: { ...slot, failover: false } })).toBe('timeline-changed');
    expect(reasonFor({ ...switched('0/6000'), switchPoints: new Map() })).toBe('timeline-changed');
    expect(reasonFor(switched('0/6000'), { ...stored, timeline: 3 })).toBe('timeline-changed');
  });

  test('a timeline history file is read line by line', () => {
    const history = parseTimelineHistory(
      '1\t0/3000148\tno recovery target specified\n\n2\t16/B374D848\tbefore 2000-01-01\n',
    );
    expect([...history].map(([timeline, lsn]) => [timeline, formatLsn(lsn)])).toEqual([
      [1, '0/3000148'],
      [2, '16/B374D848'],
    ]);
  });
});

describe('LSN', () => {
  test('reads and writes as PostgreSQL does', () => {
    expect(formatLsn(parseLsn('16/B374D848'))).toBe('16/B374D848');
    expect(() => parseLsn('16-B374D848')).toThrow(TypeError);
  });

  test('lag is never negative', () => {
    expect(lagBytes(parseLsn('0/20'), parseLsn('0/10'))).toBe(16);
    expect(lagBytes(parseLsn('0/10'), parseLsn('0/20'))).toBe(0);
  });
});
