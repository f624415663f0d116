import { endOfQuoted, skipBlank, trimmed, unquoted } from './lexical.ts';
import { type Parameters, parseParameters } from './parameters.ts';
import { parseUri, type Uri } from './uri.ts';

/** From, To, Contact, Route, Path, P-Asserted-Identity: name-addr or addr-spec with header parameters (RFC 3261 20.10). */
export interface NameAddr {
  /** Unquoted. */
  readonly displayName: string | undefined;
  /** The URI as written, without angle brackets. */
  readonly uriText: string;
  readonly uri: Uri;
  readonly parameters: Parameters;
  /** The `tag` parameter. */
  readonly tag: string | undefined;
}

/** Reads one value (no comma list). Undefined when malformed. */
export function parseNameAddr(text: string): NameAddr | undefined {
  const open = openingAngle(text);
  if (open === -2) return undefined;
  if (open < 0) return parseAddrSpec(text);
  const close = text.indexOf('>', open);
  if (close < 0) return undefined;
  const display = trimmed(text, 0, open);
  return compose(
    display === '' ? undefined : unquoted(display),
    text.slice(open + 1, close),
    text,
    close + 1,
  );
}

/** `Contact: *` (RFC 3261 10.2.2) is '*'. */
export function parseContact(text: string): NameAddr | '*' | undefined {
  return text === '*' ? '*' : parseNameAddr(text);
}

/** RFC 3261 20: without angle brackets, `;` starts header parameters, and `,` or `?` may not stand in the URI. */
function parseAddrSpec(text: string): NameAddr | undefined {
  const semicolon = text.indexOf(';');
  const end = semicolon < 0 ? text.length : semicolon;
  const uriText = trimmed(text, 0, end);
  if (uriText.includes('?') || uriText.includes(',')) return undefined;
  return compose(undefined, uriText, text, end);
}

function compose(
  displayName: string | undefined,
  uriText: string,
  text: string,
  rest: number,
): NameAddr | undefined {
  const uri = parseUri(uriText);
  const parameters = parseParameters(text, rest);
  if (uri === undefined || parameters === undefined) return undefined;
  return { displayName, uriText, uri, parameters, tag: parameters.get('tag') };
}

/** The index of `<` after the display name; -1 without one; -2 when a quoted display name is broken. */
function openingAngle(text: string): number {
  if (text.charCodeAt(0) !== 34) return text.indexOf('<');
  const end = endOfQuoted(text, 0);
  if (end < 0) return -2;
  const at = skipBlank(text, end);
  return text.charCodeAt(at) === 60 ? at : -2;
}
