import { isToken, parseCount, skipBlank } from './lexical.ts';

/** RFC 3261 20.16. */
export interface CSeq {
  readonly sequence: number;
  readonly method: string;
}

/** RFC 3261 8.1.1.5: the number is less than 2**31. */
export function parseCSeq(text: string): CSeq | undefined {
  let end = 0;
  while (end < text.length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++;
  const sequence = parseCount(text.slice(0, end), 2 ** 31 - 1);
  const at = skipBlank(text, end);
  const method = text.slice(at);
  return sequence === undefined || at === end || !isToken(method) ? undefined : { sequence, method };
}
