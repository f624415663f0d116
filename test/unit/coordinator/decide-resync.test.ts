import { expect, test } from 'vitest';
import {
  type DirectionDecision,
  decideDirection,
  decideResync,
  lineageBroken,
  type SiteState,
} from '../../../shared/domain/decide-resync.ts';
import { at, position, siteView, slot } from './views.ts';

type Changes = Partial<SiteState>;

interface Case {
  readonly name: string;
  /** Of the publisher, a, and of the subscriber, b. */
  readonly a?: Changes;
  readonly b?: Changes;
  readonly decision: Partial<DirectionDecision>;
}

const onTimeline2: Changes = { timeline: 2, switchPoints: new Map([[1, at('0/250')]]) };

const CASES: readonly Case[] = [
  { name: 'nothing changed', decision: { action: 'stream' } },
  {
    name: 'rule 24 the publisher is still in recovery',
    a: { inRecovery: true },
    decision: { action: 'wait', reason: 'in-recovery', site: 'a' },
  },
  {
    name: 'the subscriber is still in recovery',
    b: { inRecovery: true },
    decision: { action: 'wait', reason: 'in-recovery', site: 'b' },
  },
  {
    name: 'rule 1 the publisher was promoted and its slots are gone',
    a: { ...onTimeline2, slots: new Map() },
    decision: { action: 'resync', reason: 'timeline-changed', salvage: true },
  },
  {
    name: 'rule 1 the publisher was promoted and somebody made the slot again',
    a: { ...onTimeline2, slots: new Map([['b', slot('0/260')]]) },
    decision: { action: 'resync', reason: 'timeline-changed', salvage: true },
  },
  {
    name: 'rule 1 the subscriber had read what the promoted server never got',
    a: { timeline: 2, switchPoints: new Map([[1, at('0/150')]]) },
    decision: { action: 'resync', reason: 'position-ahead', salvage: true },
  },
  {
    name: 'rule 18 a synchronised failover slot behind the switch survived the promotion',
    a: { ...onTimeline2, slots: new Map([['b', slot('0/100', { failover: true })]]) },
    decision: { action: 'stream' },
  },
  {
    name: 'rule 18 a failover slot is of no use when the position lies beyond the switch',
    a: {
      timeline: 2,
      switchPoints: new Map([[1, at('0/150')]]),
      slots: new Map([['b', slot('0/100', { failover: true })]]),
    },
    decision: { action: 'resync', reason: 'position-ahead', salvage: true },
  },
  {
    name: 'rule 18 a failover slot that stands beyond the position was made after the switch',
    a: { ...onTimeline2, slots: new Map([['b', slot('0/260', { failover: true })]]) },
    decision: { action: 'resync', reason: 'gap', salvage: false },
  },
  {
    name: 'rule 1 the publisher is another cluster',
    a: { systemIdentifier: 'sys-other' },
    decision: { action: 'resync', reason: 'system-changed', salvage: true },
  },
  {
    name: 'the publisher went back to an older timeline',
    b: { positions: new Map([['a', position('a', 'b', '0/200', { timeline: 3 })]]) },
    decision: { action: 'resync', reason: 'timeline-changed', salvage: true },
  },
  {
    name: 'a file copy put back: the same timeline, but its log ends before the position',
    a: { flushLsn: at('0/180') },
    decision: { action: 'resync', reason: 'position-ahead', salvage: true },
  },
  {
    name: 'rule 21 the slot is gone, as after a restore from a base backup',
    a: { slots: new Map() },
    decision: { action: 'resync', reason: 'slot-missing', salvage: true },
  },
  {
    name: 'rule 17 the slot lost its WAL',
    a: { slots: new Map([['b', slot('0/100', { walStatus: 'lost' })]]) },
    decision: { action: 'resync', reason: 'slot-lost', salvage: false },
  },
  {
    name: 'rule 3 the subscriber went back: its position lies behind the slot',
    b: { positions: new Map([['a', position('a', 'b', '0/80')]]) },
    decision: { action: 'resync', reason: 'gap', salvage: false },
  },
  {
    name: 'an operator asked for it',
    b: { resyncRequested: new Set(['a']) },
    decision: { action: 'resync', reason: 'operator', salvage: false },
  },
  {
    name: 'an operator asked for it after a promotion: the promotion is the reason, for it demands salvage',
    a: { ...onTimeline2, slots: new Map() },
    b: { resyncRequested: new Set(['a']) },
    decision: { action: 'resync', reason: 'timeline-changed', salvage: true },
  },
  {
    name: 'a resynchronisation was stopped half way, after an unknown history',
    b: { positions: new Map([['a', position('a', 'b', '0/0')]]) },
    decision: { action: 'resync', reason: 'never-synchronised', salvage: true },
  },
  {
    name: 'nothing was ever copied',
    b: { positions: new Map() },
    decision: { action: 'resync', reason: 'never-synchronised', salvage: false },
  },
];

test.each(CASES)('a>b when $name', ({ a, b, decision }) => {
  const decided = decideDirection(siteView('a', 'b', a), siteView('b', 'a', b));
  expect(decided).toMatchObject({ from: 'a', to: 'b', ...decision });
});

test('a site that cannot be asked makes both directions wait', () => {
  const away = { site: 'a', reachable: false, reason: 'ECONNREFUSED' } as const;
  for (const decision of decideResync([away, siteView('b', 'a')])) {
    expect(decision).toMatchObject({ action: 'wait', reason: 'unreachable', site: 'a' });
  }
});

test('rule 25 after an asynchronous failover of a each direction has its own reason', () => {
  const a = siteView('a', 'b', {
    ...onTimeline2,
    slots: new Map(),
    positions: new Map([['b', position('b', 'a', '0/50')]]),
  });
  const decisions = decideResync([a, siteView('b', 'a')]);
  expect(decisions).toMatchObject([
    { from: 'a', to: 'b', action: 'resync', reason: 'timeline-changed', salvage: true },
    { from: 'b', to: 'a', action: 'resync', reason: 'gap', salvage: false },
  ]);
  expect(lineageBroken('a', decisions)).toBe('timeline-changed');
  expect(lineageBroken('b', decisions), 'b itself is what it was').toBeNull();
});

test('rule 17 a missing slot alone begins no failover: it may have been dropped over its budget', () => {
  const decisions = decideResync([siteView('a', 'b', { slots: new Map() }), siteView('b', 'a')]);
  expect(decisions[0]).toMatchObject({ action: 'resync', reason: 'slot-missing', salvage: true });
  expect(lineageBroken('a', decisions)).toBeNull();
});

test('a resynchronisation under way begins no failover, however long it takes', () => {
  const halfWay = siteView('b', 'a', { positions: new Map([['a', position('a', 'b', '0/0')]]) });
  const decisions = decideResync([siteView('a', 'b'), halfWay]);
  expect(decisions[0]).toMatchObject({ action: 'resync', reason: 'never-synchronised', salvage: true });
  expect(lineageBroken('a', decisions)).toBeNull();
});
