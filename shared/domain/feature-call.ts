import type { Choice } from './choose-freshest.ts';
import type { GroupName } from './last-calls.ts';
import { matchesNumber, normaliseNumber } from './number.ts';

/** Which calls *69 returns (F18). */
export type ReturnSource = 'missed' | 'any';

export function groupsOf(feature: 'redial' | 'return', returnSource: ReturnSource): readonly GroupName[] {
  if (feature === 'redial') return ['dialed'];
  return returnSource === 'any' ? ['received', 'terminated'] : ['received'];
}

/** Why a feature call goes nowhere: the same word in SIP logs, REST problems and metrics. */
export type FeatureRefusal =
  | 'NO_DATA'
  | 'WITHHELD'
  | 'ERASED'
  | 'UNREADABLE'
  | 'SELF'
  | 'FEATURE_CODE'
  | 'BARRED'
  | 'EMERGENCY';

export type FeatureDecision =
  | {
      readonly kind: 'call';
      readonly number: string;
      readonly site: string;
      readonly callId: string | null;
      readonly degraded: readonly string[];
    }
  | {
      readonly kind: 'refuse';
      readonly refusal: FeatureRefusal;
      readonly status: number;
      readonly reason: string;
    };

const REFUSALS: Readonly<Record<FeatureRefusal, { status: number; reason: string }>> = {
  NO_DATA: { status: 480, reason: 'No Last Call Known' },
  WITHHELD: { status: 480, reason: 'Last Caller Withheld' },
  ERASED: { status: 480, reason: 'Last Caller Erased' },
  UNREADABLE: { status: 503, reason: 'Last Call Unreadable' },
  SELF: { status: 480, reason: 'Last Call Is Own Number' },
  FEATURE_CODE: { status: 480, reason: 'Last Call Is A Feature Code' },
  BARRED: { status: 403, reason: 'Number Barred' },
  EMERGENCY: { status: 480, reason: 'Emergency Number Not Redialed' },
};

export interface FeaturePolicy {
  readonly ownNumber: string;
  readonly isFeatureCode: (number: string) => boolean;
  readonly barred: readonly string[];
  readonly emergency: readonly string[];
}

/** What becomes of a feature call, given what was chosen (F2, F3, F4, F7, C7, R2). */
export function decideFeatureCall(choice: Choice, policy: FeaturePolicy): FeatureDecision {
  switch (choice.kind) {
    case 'none':
      return refuse('NO_DATA');
    case 'withheld':
      return refuse('WITHHELD');
    case 'erased':
      return refuse('ERASED');
    case 'unreadable':
      return refuse('UNREADABLE');
    case 'number':
      if (normaliseNumber(choice.number) === normaliseNumber(policy.ownNumber)) return refuse('SELF');
      if (policy.isFeatureCode(choice.number)) return refuse('FEATURE_CODE');
      if (matchesNumber(choice.number, policy.emergency)) return refuse('EMERGENCY');
      if (matchesNumber(choice.number, policy.barred)) return refuse('BARRED');
      return {
        kind: 'call',
        number: choice.number,
        site: choice.site,
        callId: choice.entry.callId,
        degraded: choice.degraded,
      };
  }
}

export function refuse(refusal: FeatureRefusal): FeatureDecision {
  return { kind: 'refuse', refusal, ...REFUSALS[refusal] };
}
