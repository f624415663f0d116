import { InvalidArgumentError } from 'commander';
import { DIALABLE_FORM, dialableNumber } from '../../shared/domain/number.ts';
import { isSiteId } from '../../shared/domain/site.ts';

/** A whole number within bounds, both included. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`expected a whole number ${range}.`);
  };
}

export function oneOf(...choices: readonly string[]): (text: string) => string {
  return (text) => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`expected one of ${choices.join(', ')}.`);
  };
}

/** `redial,return` */
export function listOf(...choices: readonly string[]): (text: string) => string[] {
  return (text) => {
    const items = text.split(',').map((item) => item.trim());
    if (items.every((item) => choices.includes(item))) return items;
    throw new InvalidArgumentError(`expected some of ${choices.join(', ')}, separated by commas.`);
  };
}

export function site(text: string): string {
  if (isSiteId(text)) return text;
  throw new InvalidArgumentError('expected a site: a lower-case letter, then up to 15 letters, digits or _.');
}

/** F21: a number as dialed; visual separators are left away. */
export function dialable(text: string): string {
  const number = dialableNumber(text);
  if (number !== null) return number;
  throw new InvalidArgumentError(`expected a number as dialed: ${DIALABLE_FORM}.`);
}

export function sipUri(text: string): string {
  if (/^sips?:[^@\s]+@[^@\s]+$/.test(text)) return text;
  throw new InvalidArgumentError('expected an address of record like sip:1001@example.net.');
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `10m`, `12h`, `30d` in seconds; `never` as null. */
export function lifetime(text: string): number | null {
  if (text === 'never') return null;
  const [, digits, unit] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * SECONDS[unit as keyof typeof SECONDS];
  throw new InvalidArgumentError('expected a time such as 10m, 12h or 30d, or never.');
}

export function tokenName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('expected up to 64 letters, digits, dots, dashes and underscores.');
}
