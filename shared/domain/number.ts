/** Rules that turn a caller's number into what the subscriber dials (R4): the first whose prefix matches replaces it. */
export interface DialRule {
  readonly prefix: string;
  readonly replacement: string;
}

const VISUAL_SEPARATORS = /[-.() ]/g;
/** A telephone number as people and phones write it; `+` only in front. A username may begin with digits as well. */
const NUMBER = /^[-.() ]*(?:\+[-.() ]*)?[0-9*#][-.() 0-9*#]*$/;

/**
 * A number for comparison: percent escapes decoded, visual separators (RFC 3966 section 5.1.1) and parameters removed.
 * A username only gets its escapes decoded: `;`, `.` and `-` are part of it (RFC 3261 section 19.1.1).
 */
export function normaliseNumber(text: string): string {
  const end = text.indexOf(';');
  const number = decoded(end < 0 ? text : text.slice(0, end));
  return NUMBER.test(number) ? number.replace(VISUAL_SEPARATORS, '') : decoded(text);
}

/** F21: what a number may consist of. */
const DIALABLE = /^[0-9+*#A-D]{1,32}$/;
export const DIALABLE_FORM = 'digits, +, *, # and A to D, at most 32';

/**
 * F21: the number as it may be stored, handed out and dialed: percent escapes decoded and visual separators removed. Null
 * for everything else, which a dial plan would take for more than a number.
 */
export function dialableNumber(text: string): string | null {
  const number = decoded(text).replace(VISUAL_SEPARATORS, '');
  return DIALABLE.test(number) ? number : null;
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** R4: the caller's number in the subscriber's dialable form. */
export function toDialable(number: string, rules: readonly DialRule[]): string {
  const rule = rules.find((candidate) => number.startsWith(candidate.prefix));
  return rule ? rule.replacement + number.slice(rule.prefix.length) : number;
}

/** Numbers by exact match, or by prefix where the entry ends in `*` (`0900*`), however the number was written. */
export function matchesNumber(number: string, patterns: readonly string[]): boolean {
  const plain = normaliseNumber(number);
  return patterns.some((pattern) =>
    pattern.endsWith('*') && pattern.length > 1 ? plain.startsWith(pattern.slice(0, -1)) : plain === pattern,
  );
}

/** R2: an emergency call, by the configured list or by its service URN (RFC 5031). */
export function isEmergency(
  requestUri: string,
  number: string,
  emergencyNumbers: readonly string[],
): boolean {
  const uri = requestUri.toLowerCase();
  return (
    uri === 'urn:service:sos' || uri.startsWith('urn:service:sos.') || matchesNumber(number, emergencyNumbers)
  );
}
