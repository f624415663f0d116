import { quoted, splitOutsideQuotes, unquoted } from './lexical.ts';

/** The values of one digest challenge or set of credentials, names in lower case, values unquoted. */
export type DigestFields = ReadonlyMap<string, string>;

/** Reads `Digest name=value, name="value"` (RFC 3261 20.7, 20.27). Undefined for another scheme or broken text. */
export function parseDigestFields(text: string): DigestFields | undefined {
  if (text.slice(0, 7).toLowerCase() !== 'digest ') return undefined;
  const fields = new Map<string, string>();
  for (const part of splitOutsideQuotes(text.slice(7), ',')) {
    const equals = part.indexOf('=');
    if (equals <= 0) return undefined;
    const name = part.slice(0, equals).trim().toLowerCase();
    if (fields.has(name)) return undefined;
    fields.set(name, unquoted(part.slice(equals + 1).trim()));
  }
  return fields;
}

/** Values that are written without quotes (RFC 3261 25.1). */
const BARE = new Set(['algorithm', 'stale', 'nc']);

/** `Digest name="value", ...`; `bare` names further fields to write without quotes, e.g. qop in credentials. */
export function formatDigestFields(
  fields: Iterable<readonly [string, string]>,
  bare: readonly string[] = [],
): string {
  const parts: string[] = [];
  for (const [name, value] of fields) {
    parts.push(`${name}=${BARE.has(name) || bare.includes(name) ? value : quoted(value)}`);
  }
  return `Digest ${parts.join(', ')}`;
}
