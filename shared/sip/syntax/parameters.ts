import { endOfQuoted, isToken, skipBlank, trimmed, unquoted } from './lexical.ts';

/** Parameters by lower-case name; a parameter without a value holds ''. Quoted values are unquoted. */
export type Parameters = ReadonlyMap<string, string>;

export const NO_PARAMETERS: Parameters = new Map();

/**
 * Reads `;name=value;name` from `at` to the end of the text. Undefined when it is no parameter list or a name
 * stands twice with different values.
 */
export function parseParameters(text: string, at: number): Parameters | undefined {
  at = skipBlank(text, at);
  if (at >= text.length) return NO_PARAMETERS;
  const parameters = new Map<string, string>();
  while (at < text.length) {
    if (text.charCodeAt(at) !== 59) return undefined;
    const end = endOfParameter(text, at + 1);
    if (end < 0 || !addParameter(parameters, text, at + 1, end)) return undefined;
    at = end;
  }
  return parameters;
}

function endOfParameter(text: string, at: number): number {
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 59) return at;
    if (code === 34) {
      at = endOfQuoted(text, at) - 1;
      if (at < 0) return -1;
    }
  }
  return at;
}

function addParameter(parameters: Map<string, string>, text: string, start: number, end: number): boolean {
  const equals = text.indexOf('=', start);
  const hasValue = equals >= 0 && equals < end;
  const name = trimmed(text, start, hasValue ? equals : end).toLowerCase();
  const value = hasValue ? trimmed(text, equals + 1, end) : '';
  if (!isToken(name) || parameters.has(name)) return false;
  parameters.set(name, unquoted(value));
  return true;
}
