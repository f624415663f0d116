import type { FeaturePolicy } from '../domain/feature-call.ts';
import { type Feature, type FeatureCodes, featureOf } from '../domain/feature-code.ts';
import type { DialRule } from '../domain/number.ts';
import type { Config } from './config-schema.ts';

/** The site's star codes as configured (F17). */
export function featureCodes(config: Config): FeatureCodes {
  return new Map(Object.entries(config.calls.featureCodes) as [string, Feature][]);
}

/** The site's rules for what a star code may call (F20). */
export function featurePolicy(config: Config): FeaturePolicy {
  const codes = featureCodes(config);
  const { barredNumbers, emergencyNumbers } = config.calls;
  return {
    returnSource: config.callReturn.source,
    isFeatureCode: (number) => featureOf(number, codes) !== null,
    barred: barredNumbers,
    emergency: emergencyNumbers,
  };
}

/** The site's dial rules, the longest prefix first, so that the first match is the best (R4). */
export function dialRules(config: Config): DialRule[] {
  return Object.entries(config.calls.dialRules)
    .map(([prefix, replacement]) => ({ prefix, replacement }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
}
