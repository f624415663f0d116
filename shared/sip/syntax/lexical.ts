import { isIPv6 } from 'node:net';

/** RFC 3261 25.1 character classes over latin1 text. Everything here is one forward pass: no backtracking. */

const TOKEN = classOf("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~");
const LABEL = classOf('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_');
/** Of a domain name (RFC 1035 2.3.4). */
const MAX_NAME_LENGTH = 253;
const BLANK = classOf(' \t\r\n');

function classOf(characters: string): Uint8Array {
  const members = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) members[characters.charCodeAt(i)] = 1;
  return members;
}

function isAll(members: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (members[text.charCodeAt(i)] !== 1) return false;
  return text.length > 0;
}

/** RFC 3261 25.1 token. */
export const isToken = (text: string): boolean => isAll(TOKEN, text);

/** RFC 3261 25.1 host: a name (`_` allowed as in DNS), an IPv4 address, or an IPv6 address in brackets. */
export function isHost(text: string): boolean {
  if (text.charCodeAt(0) === 91) return text.endsWith(']') && isIPv6(text.slice(1, -1));
  let labelStart = 0;
  for (let i = 0; i < text.length; i++) {
    const isDot = text.charCodeAt(i) === 46;
    if (isDot ? i === labelStart : LABEL[text.charCodeAt(i)] !== 1) return false;
    if (isDot) labelStart = i + 1;
  }
  return text.length > 0 && text.length <= MAX_NAME_LENGTH;
}

/** True for digits only, at least one. */
export function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return text.length > 0;
}

/** A non-negative integer of at most `max`; undefined for anything else, signs and blanks included. */
export function parseCount(text: string, max: number): number | undefined {
  if (!isDigits(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** True where linear white space stands (a fold's CR and LF included). */
const isBlankAt = (text: string, at: number): boolean => BLANK[text.charCodeAt(at)] === 1;

/** The first index at or after `at` that is no white space. */
export function skipBlank(text: string, at: number): number {
  while (at < text.length && isBlankAt(text, at)) at++;
  return at;
}

/** The text between `start` and `end` without white space at its ends. `String.trim` would also take 0xA0, a UTF-8 byte. */
export function trimmed(text: string, start = 0, end = text.length): string {
  while (start < end && isBlankAt(text, start)) start++;
  while (end > start && isBlankAt(text, end - 1)) end--;
  return text.slice(start, end);
}

/** Replaces each fold (CRLF and the white space after it) by one space, RFC 3261 7.3.1. */
export function unfolded(text: string): string {
  if (!text.includes('\n')) return text;
  const parts: string[] = [];
  let from = 0;
  for (let lf = text.indexOf('\n'); lf >= 0; lf = text.indexOf('\n', from)) {
    parts.push(trimmedEnd(text, from, lf));
    from = skipBlank(text, lf);
  }
  parts.push(text.slice(from));
  return parts.join(' ');
}

/** Without blanks at its end. */
export function trimmedEnd(text: string, start: number, end: number): string {
  while (end > start && isBlankAt(text, end - 1)) end--;
  return text.slice(start, end);
}

/** The index after the closing quote of the quoted string opening at `at`; -1 when it never closes. */
export function endOfQuoted(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 92) i++;
    else if (code === 34) return i + 1;
  }
  return -1;
}

/** The content of a quoted string with its escapes resolved; other text as it is. */
export function unquoted(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== 34 || text.charCodeAt(text.length - 1) !== 34) return text;
  const inner = text.slice(1, -1);
  if (!inner.includes('\\')) return inner;
  let plain = '';
  for (let i = 0; i < inner.length; i++) {
    if (inner.charCodeAt(i) === 92 && i + 1 < inner.length) i++;
    plain += inner[i];
  }
  return plain;
}

/** A quoted string for `text`, with `"` and `\` escaped. */
export function quoted(text: string): string {
  let out = '"';
  for (const character of text) out += character === '"' || character === '\\' ? `\\${character}` : character;
  return `${out}"`;
}

/** Splits at `separator` outside quoted strings and angle brackets; white space around each part is taken off. */
export function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  if (!text.includes(separator)) return [trimmed(text)];
  const code = separator.charCodeAt(0);
  const parts: string[] = [];
  let start = 0;
  let inAngles = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34 && !inAngles) {
      const end = endOfQuoted(text, i);
      if (end < 0) break;
      i = end - 1;
    } else if (c === 60) inAngles = true;
    else if (c === 62) inAngles = false;
    else if (c === code && !inAngles) {
      parts.push(trimmed(text, start, i));
      start = i + 1;
    }
  }
  parts.push(trimmed(text, start));
  return parts;
}

/** Decodes %HH escapes into bytes (latin1 text); undefined when an escape is broken. */
export function unescaped(text: string): string | undefined {
  let at = text.indexOf('%');
  if (at < 0) return text;
  let plain = text.slice(0, at);
  for (; at < text.length; at++) {
    if (text.charCodeAt(at) !== 37) {
      plain += text[at];
      continue;
    }
    const high = hexValue(text.charCodeAt(at + 1));
    const low = hexValue(text.charCodeAt(at + 2));
    if (high < 0 || low < 0) return undefined;
    plain += String.fromCharCode(high * 16 + low);
    at += 2;
  }
  return plain;
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  if (code >= 97 && code <= 102) return code - 87;
  return -1;
}

/** A copy that holds no reference to the datagram it was cut from; use it for what outlives the message. */
export function flattened(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
