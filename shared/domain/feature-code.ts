import { normaliseNumber } from './number.ts';

/** What a dialed star code asks for. */
export const FEATURES = ['redial', 'return', 'erase', 'trace'] as const;
export type Feature = (typeof FEATURES)[number];

/** Feature by dialed code. Configured per site, aliases are further entries (F17). */
export type FeatureCodes = ReadonlyMap<string, Feature>;

export const DEFAULT_FEATURE_CODES: FeatureCodes = new Map<string, Feature>([
  ['*52', 'redial'],
  ['*69', 'return'],
]);

/**
 * The feature that a Request-URI's user part asks for, or null. `*69`, `%2A69` and `*69;phone-context=...` are the same
 * code (F17); a part with a broken escape is no code.
 */
export function featureOf(userPart: string, codes: FeatureCodes): Feature | null {
  return codes.get(normaliseNumber(userPart)) ?? null;
}
