/** Rules that turn a caller's number into what the subscriber dials (R4): the first whose prefix matches replaces it. */
export interface DialRule {
  readonly prefix: string;
  readonly replacement: string;
}

const VISUAL_SEPARATORS = /[-.() ]/g;

/** A number for comparison: percent escapes decoded, visual separators (RFC 3966 section 5.1.1) and parameters removed. */
export function normaliseNumber(text: string): string {
  let plain = text;
  if (text.includes('%')) {
    try {
      plain = decodeURIComponent(text);
    } catch {
      return text;
    }
  }
  const parameters = plain.indexOf(';');
  if (parameters >= 0) plain = plain.slice(0, parameters);
  return /^[+*#0-9]/.test(plain) ? plain.replace(VISUAL_SEPARATORS, '') : plain;
}

/** R4: the caller's number in the subscriber's dialable form. */
export function toDialable(number: string, rules: readonly DialRule[]): string {
  const rule = rules.find((candidate) => number.startsWith(candidate.prefix));
  return rule ? rule.replacement + number.slice(rule.prefix.length) : number;
}

/** Numbers by exact match, or by prefix where the entry ends in `*` (`0900*`). */
export function matchesNumber(number: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') && pattern.length > 1
      ? number.startsWith(pattern.slice(0, -1))
      : number === pattern,
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
