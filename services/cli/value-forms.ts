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
