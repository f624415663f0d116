import { describe, expect, it } from 'vitest';
import type { Source } from '../../../shared/domain/choose-freshest.ts';
import {
  admitTerminal,
  decideFeatureCall,
  type FeatureAsked,
  type FeaturePolicy,
} from '../../../shared/domain/feature-call.ts';
import { DEFAULT_FEATURE_CODES, featureOf } from '../../../shared/domain/feature-code.ts';
import { callGroup, emptyLastCalls, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';

const POLICY: FeaturePolicy = {
  returnSource: 'missed',
  isFeatureCode: (number) => featureOf(number, DEFAULT_FEATURE_CODES) !== null,
  barred: ['0900*'],
  emergency: ['112'],
};
const TERMINAL = { number: '1001', enabled: true, features: ['redial', 'return'] } as const;
const at = micros(5);
const row = (groups: Partial<LastCalls>): LastCalls => ({ ...emptyLastCalls(1), ...groups });
const missed = (number: string | null, callId: string | null = 'call-1'): Source => ({
  site: 'b',
  row: row({ received: callGroup(at, { number, callId }) }),
});
const AWAY: Source = { site: 'a', unreadable: 'PostgreSQL is away' };
const decide = (sources: readonly Source[], asked: Partial<FeatureAsked> = {}) =>
  decideFeatureCall({ terminal: TERMINAL, feature: 'return', sources, marks: [], ...asked }, POLICY);

describe('a feature call', () => {
  it('goes to the chosen number, as it was dialed, with the Call-ID to reply to (F15) and what was unreadable (C6)', () => {
    expect(decide([missed('%2B10-02'), AWAY])).toMatchObject({
      kind: 'call',
      number: '+1002',
      site: 'b',
      entry: { callId: 'call-1' },
      degraded: ['a'],
    });
  });

  it.each<[string, readonly Source[], number, string]>([
    ['F2 no data', [], 480, 'NO_DATA'],
    ['F3 withheld', [missed(null)], 480, 'WITHHELD'],
    ['F3 erased', [missed(null, null)], 480, 'ERASED'],
    ['C7 cannot read', [AWAY], 503, 'UNREADABLE'],
    ['F4 the caller itself', [missed('1001')], 480, 'SELF'],
    ['F4 the caller itself, written otherwise', [missed('10-01')], 480, 'SELF'],
    ['F4 a feature code', [missed('*69')], 480, 'FEATURE_CODE'],
    ['F4 a feature code, escaped', [missed('%2A52')], 480, 'FEATURE_CODE'],
    ['F7 a barred number', [missed('09001234')], 403, 'BARRED'],
    ['R2 an emergency number is never redialed', [missed('112')], 480, 'EMERGENCY'],
    ['F21 what nobody may dial', [missed('0900&PJSIP/1')], 480, 'WITHHELD'],
    ['F21 a second line', [missed('1\r\nX')], 480, 'WITHHELD'],
    ['F21 what a dial plan would run', [missed('$' + '{SHELL(id)}')], 480, 'WITHHELD'],
    ['F21 more than 32 digits', [missed('1'.repeat(33))], 480, 'WITHHELD'],
    ['F21 a username', [missed('alice')], 480, 'WITHHELD'],
  ])('%s is refused', (_, sources, status, refusal) => {
    expect(decide(sources)).toMatchObject({ kind: 'refuse', status, refusal });
  });

  it.each<[string, object | null, number, string]>([
    ['F9 an unknown terminal', null, 404, 'TERMINAL_NOT_FOUND'],
    ['F20 a disabled terminal', { ...TERMINAL, enabled: false }, 403, 'TERMINAL_DISABLED'],
    ['F8 a terminal without the feature', { ...TERMINAL, features: ['redial'] }, 403, 'FEATURE_NOT_ENABLED'],
  ])('%s is refused, whatever is known of its calls', (_, terminal, status, refusal) => {
    expect(admitTerminal(terminal as typeof TERMINAL | null, 'return')).toMatchObject({ status, refusal });
    if (terminal !== null)
      expect(decide([missed('1002')], { terminal: terminal as typeof TERMINAL })).toMatchObject({ refusal });
  });

  it('F3 no data, withheld and erased each say so in their own words', () => {
    const reasons = [[], [missed(null)], [missed(null, null)]].map((sources) => {
      const decision = decide(sources);
      return decision.kind === 'refuse' ? decision.reason : '';
    });
    expect(new Set(reasons).size).toBe(3);
  });
});
