import { describe, expect, it } from 'vitest';
import type { Choice } from '../../../shared/domain/choose-freshest.ts';
import { decideFeatureCall, type FeaturePolicy } from '../../../shared/domain/feature-call.ts';
import { DEFAULT_FEATURE_CODES, featureOf } from '../../../shared/domain/feature-code.ts';
import { callGroup } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';

const POLICY: FeaturePolicy = {
  ownNumber: '1001',
  isFeatureCode: (number) => featureOf(number, DEFAULT_FEATURE_CODES) !== null,
  barred: ['0900*'],
  emergency: ['112'],
};
const at = micros(5);
const chosen = (number: string): Choice => ({
  kind: 'number',
  number,
  site: 'b',
  entry: callGroup(at, { number, callId: 'call-1' }),
  degraded: ['a'],
});
const decide = (choice: Choice) => decideFeatureCall(choice, POLICY);

describe('a feature call', () => {
  it('goes to the chosen number, as it was dialed, with the Call-ID to reply to (F15) and what was unreadable (C6)', () => {
    expect(decide(chosen('10-02'))).toEqual({
      kind: 'call',
      number: '10-02',
      site: 'b',
      callId: 'call-1',
      degraded: ['a'],
    });
  });

  it.each<[string, Choice, number, string]>([
    ['F2 no data', { kind: 'none' }, 480, 'NO_DATA'],
    ['F3 withheld', { kind: 'withheld', site: 'a', at, degraded: [] }, 480, 'WITHHELD'],
    ['F3 erased', { kind: 'erased', site: 'a', at, degraded: [] }, 480, 'ERASED'],
    ['C7 cannot read', { kind: 'unreadable', degraded: ['a'] }, 503, 'UNREADABLE'],
    ['F4 the caller itself', chosen('1001'), 480, 'SELF'],
    ['F4 the caller itself, written otherwise', chosen('10-01'), 480, 'SELF'],
    ['F4 a feature code', chosen('*69'), 480, 'FEATURE_CODE'],
    ['F4 a feature code, escaped', chosen('%2A52'), 480, 'FEATURE_CODE'],
    ['F7 a barred number', chosen('09001234'), 403, 'BARRED'],
    ['R2 an emergency number is never redialed', chosen('112'), 480, 'EMERGENCY'],
  ])('%s is refused', (_, choice, status, refusal) => {
    expect(decide(choice)).toMatchObject({ kind: 'refuse', status, refusal });
  });

  it('F3 no data, withheld and erased each say so in their own words', () => {
    const reasons = (['none', 'withheld', 'erased'] as const).map((kind) => {
      const decision = decide(kind === 'none' ? { kind } : { kind, site: 'a', at, degraded: [] });
      return decision.kind === 'refuse' ? decision.reason : '';
    });
    expect(new Set(reasons).size).toBe(3);
  });
});
