/**
 * A point in time in whole microseconds since 1970-01-01 UTC, the resolution of PostgreSQL's timestamptz(6).
 * Exact up to the year 2255; `Infinity` and `-Infinity` stand for PostgreSQL's own infinities.
 * Never pass one through a JS `Date`: it keeps milliseconds only, and a copy would differ from its origin.
 */
export type Micros = number & { readonly brand: 'Micros' };

export const micros = (value: number): Micros => value as Micros;

const TIMESTAMPTZ =
  /^(\d{4,6})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d(?::?\d\d)?(?::?\d\d)?)( BC)?$/;

/** Reads PostgreSQL's ISO output (`2026-11-21 03:47:00.123456+00`, `infinity`) or RFC 3339. `null` when it is neither. */
export function parseTimestamptz(text: string): Micros | null {
  if (text === 'infinity') return micros(Number.POSITIVE_INFINITY);
  if (text === '-infinity') return micros(Number.NEGATIVE_INFINITY);
  const m = TIMESTAMPTZ.exec(text);
  if (!m) return null;
  const year = m[9] ? 1 - Number(m[1]) : Number(m[1]);
  const [month, day, hour, minute, second] = [
    Number(m[2]),
    Number(m[3]),
    Number(m[4]),
    Number(m[5]),
    Number(m[6]),
  ];
  if (month < 1 || month > 12 || day < 1 || hour > 24 || minute > 59 || second > 60) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1) return null;
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offsetSeconds(m[8] as string);
  return micros(seconds * 1e6 + Number((m[7] ?? '').padEnd(6, '0')));
}

/** RFC 3339 with six decimals, in UTC; `infinity` and `-infinity` as PostgreSQL writes them. PostgreSQL reads it back exactly. */
export function formatTimestamptz(at: Micros): string {
  if (at === Number.POSITIVE_INFINITY) return 'infinity';
  if (at === Number.NEGATIVE_INFINITY) return '-infinity';
  const seconds = Math.floor(at / 1e6);
  const fraction = String(at - seconds * 1e6).padStart(6, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, -5)}.${fraction}Z`;
}

function offsetSeconds(zone: string): number {
  if (zone === 'Z') return 0;
  const digits = zone.slice(1).replaceAll(':', '').padEnd(6, '0');
  const size =
    Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4)) * 60 + Number(digits.slice(4, 6));
  return zone[0] === '-' ? -size : size;
}
