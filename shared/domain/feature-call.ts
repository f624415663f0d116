import { chooseFreshest, type Source } from './choose-freshest.ts';
import type { Feature } from './feature-code.ts';
import type { ForgetMark } from './forget.ts';
import type { CallGroup, GroupName } from './last-calls.ts';
import { dialableNumber, matchesNumber, normaliseNumber } from './number.ts';
import type { Terminal } from './terminal.ts';

/** Which calls *69 returns (F18). */
export type ReturnSource = 'missed' | 'any';

export function groupsOf(feature: 'redial' | 'return', returnSource: ReturnSource): readonly GroupName[] {
  if (feature === 'redial') return ['dialed'];
  return returnSource === 'any' ? ['received', 'terminated'] : ['received'];
}

/** Why a feature call goes nowhere: the same word in SIP metrics, REST problems and at the command line (F20). */
export type FeatureRefusal =
  | 'TERMINAL_NOT_FOUND'
  | 'TERMINAL_DISABLED'
  | 'FEATURE_NOT_ENABLED'
  | 'NO_DATA'
  | 'WITHHELD'
  | 'ERASED'
  | 'UNREADABLE'
  | 'SELF'
  | 'FEATURE_CODE'
  | 'BARRED'
  | 'EMERGENCY';

export interface RefusedFeature {
  readonly kind: 'refuse';
  readonly refusal: FeatureRefusal;
  /** What SIP answers; REST and the command line have theirs in the error catalogue. */
  readonly status: number;
  readonly reason: string;
}

export type FeatureDecision =
  | RefusedFeature
  | {
      readonly kind: 'call';
      /** As it may be dialed (F21). */
      readonly number: string;
      readonly site: string;
      readonly entry: CallGroup;
      readonly degraded: readonly string[];
    };

const REFUSALS: Readonly<Record<FeatureRefusal, { status: number; reason: string }>> = {
  TERMINAL_NOT_FOUND: { status: 404, reason: 'Unknown Terminal' },
  TERMINAL_DISABLED: { status: 403, reason: 'Terminal Disabled' },
  FEATURE_NOT_ENABLED: { status: 403, reason: 'Feature Not Enabled' },
  NO_DATA: { status: 480, reason: 'No Last Call Known' },
  WITHHELD: { status: 480, reason: 'Last Caller Withheld' },
  ERASED: { status: 480, reason: 'Last Caller Erased' },
  UNREADABLE: { status: 503, reason: 'Last Call Unreadable' },
  SELF: { status: 480, reason: 'Last Call Is Own Number' },
  FEATURE_CODE: { status: 480, reason: 'Last Call Is A Feature Code' },
  BARRED: { status: 403, reason: 'Number Barred' },
  EMERGENCY: { status: 480, reason: 'Emergency Number Not Redialed' },
};

const WITHOUT_NUMBER = {
  none: 'NO_DATA',
  withheld: 'WITHHELD',
  erased: 'ERASED',
  unreadable: 'UNREADABLE',
} as const;

/** The site's rules. */
export interface FeaturePolicy {
  readonly returnSource: ReturnSource;
  readonly isFeatureCode: (number: string) => boolean;
  readonly barred: readonly string[];
  readonly emergency: readonly string[];
}

/** Everything that is known where a terminal asks for a feature. */
export interface FeatureAsked {
  readonly terminal: Pick<Terminal, 'enabled' | 'features' | 'number'>;
  readonly feature: 'redial' | 'return';
  readonly sources: readonly Source[];
  readonly marks: readonly ForgetMark[];
}

/** F8, F9: whether this terminal may use the feature at all, before anything is looked up. */
export function admitTerminal<T extends Pick<Terminal, 'enabled' | 'features'>>(
  terminal: T | null,
  feature: Feature,
): RefusedFeature | { readonly kind: 'admitted'; readonly terminal: T } {
  if (terminal === null) return refuse('TERMINAL_NOT_FOUND');
  if (!terminal.enabled) return refuse('TERMINAL_DISABLED');
  if (!terminal.features.includes(feature)) return refuse('FEATURE_NOT_ENABLED');
  return { kind: 'admitted', terminal };
}

/**
 * F20: what becomes of *52 or *69, whoever asks: SIP, REST or the command line (F2, F3, F4, F7, F8, C1 to C9, R2, F21).
 */
export function decideFeatureCall(asked: FeatureAsked, policy: FeaturePolicy): FeatureDecision {
  const { feature, marks, sources, terminal } = asked;
  const admitted = admitTerminal(terminal, feature);
  if (admitted.kind === 'refuse') return admitted;
  const choice = chooseFreshest(groupsOf(feature, policy.returnSource), sources, marks);
  if (choice.kind !== 'number') return refuse(WITHOUT_NUMBER[choice.kind]);
  // Stored before numbers were checked, or by a site that does not: nobody may dial it.
  const number = dialableNumber(choice.number);
  if (number === null) return refuse('WITHHELD');
  if (number === normaliseNumber(terminal.number)) return refuse('SELF');
  if (policy.isFeatureCode(number)) return refuse('FEATURE_CODE');
  if (matchesNumber(number, policy.emergency)) return refuse('EMERGENCY');
  if (matchesNumber(number, policy.barred)) return refuse('BARRED');
  return { kind: 'call', number, site: choice.site, entry: choice.entry, degraded: choice.degraded };
}

function refuse(refusal: FeatureRefusal): RefusedFeature {
  return { kind: 'refuse', refusal, ...REFUSALS[refusal] };
}
