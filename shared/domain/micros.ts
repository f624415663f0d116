/**
 * A point in time in whole microseconds since 1970-01-01 UTC, the resolution of PostgreSQL's timestamptz(6).
 * Exact up to the year 2255; `Infinity` and `-Infinity` stand for PostgreSQL's own infinities.
 * Never pass one through a JS `Date`: it keeps milliseconds only, and a copy would differ from its origin.
 */
export type Micros = number & { readonly brand: 'Micros' };

export const micros = (value: number): Micros => value as Micros;

const SECOND = 1_000_000;
const DAY_SECONDS = 86_400;

const TIMESTAMPTZ =
  /^(\d{4,6})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d(?::?\d\d)?(?::?\d\d)?)( BC)?$/i;

/** Reads PostgreSQL's ISO output (`2026-11-21 03:47:00.123456+00`, `infinity`) or RFC 3339. `null` when it is neither. */
export function parseTimestamptz(text: string): Micros | null {
  if (text === 'infinity') return micros(Number.POSITIVE_INFINITY);
  if (text === '-infinity') return micros(Number.NEGATIVE_INFINITY);
  const m = TIMESTAMPTZ.exec(text);
  if (!m) return null;
  const [month, day, hour, minute, second] = [m[2], m[3], m[4], m[5], m[6]].map(Number) as Fields;
  const year = m[9] ? 1 - Number(m[1]) : Number(m[1]);
  const offset = offsetSeconds(m[8] as string);
  if (month < 1 || month > 12 || day < 1 || day > daysOfMonth(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 60 || offset === null) return null;
  const seconds =
    daysSinceEpoch(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
  return joined(seconds, Number((m[7] ?? '').padEnd(6, '0')));
}

type Fields = [number, number, number, number, number];

/** RFC 3339 with six decimals, in UTC; beyond its years and for infinity as PostgreSQL writes them. PostgreSQL reads it back exactly. */
export function formatTimestamptz(at: Micros): string {
  if (at === Number.POSITIVE_INFINITY) return 'infinity';
  if (at === Number.NEGATIVE_INFINITY) return '-infinity';
  const [seconds, fraction] = split(at);
  const ofDay = modulo(seconds, DAY_SECONDS);
  const [year, month, day] = dateOfDay((seconds - ofDay) / DAY_SECONDS);
  const date = `${digits(year > 0 ? year : 1 - year, 4)}-${digits(month, 2)}-${digits(day, 2)}`;
  const time = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60];
  const clock = `${time.map((part) => digits(part, 2)).join(':')}.${digits(fraction, 6)}Z`;
  return `${date}T${clock}${year > 0 ? '' : ' BC'}`;
}

// Beyond 2255 a number is the nearest microsecond it can hold; these two must then not round a second time.

function joined(seconds: number, fraction: number): Micros {
  const at = seconds * SECOND + fraction;
  return micros(Number.isSafeInteger(at) ? at : Number(BigInt(seconds) * BigInt(SECOND) + BigInt(fraction)));
}

function split(at: Micros): [seconds: number, fraction: number] {
  if (!Number.isSafeInteger(at)) {
    const fraction = Number(((BigInt(at) % BigInt(SECOND)) + BigInt(SECOND)) % BigInt(SECOND));
    return [Number((BigInt(at) - BigInt(fraction)) / BigInt(SECOND)), fraction];
  }
  const fraction = modulo(at, SECOND);
  return [(at - fraction) / SECOND, fraction];
}

/** Seconds east of UTC; null beyond a day. */
function offsetSeconds(zone: string): number | null {
  if (zone === 'Z' || zone === 'z') return 0;
  const padded = zone.slice(1).replaceAll(':', '').padEnd(6, '0');
  const [hours, minutes, seconds] = [padded.slice(0, 2), padded.slice(2, 4), padded.slice(4, 6)].map(Number);
  if (hours === undefined || minutes === undefined || seconds === undefined) return null;
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  const size = hours * 3600 + minutes * 60 + seconds;
  return zone[0] === '-' ? -size : size;
}

// The proleptic Gregorian calendar in eras of 400 years, years beginning in March: a Date ends before PostgreSQL does.

const ERA_DAYS = 146_097;
const EPOCH_DAY = 719_468;

function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const ofEra = modulo(marchYear, 400);
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + dayOfYear;
  return ((marchYear - ofEra) / 400) * ERA_DAYS + dayOfEra - EPOCH_DAY;
}

function dateOfDay(daysFromEpoch: number): [year: number, month: number, day: number] {
  const dayOfEra = modulo(daysFromEpoch + EPOCH_DAY, ERA_DAYS);
  const era = (daysFromEpoch + EPOCH_DAY - dayOfEra) / ERA_DAYS;
  const leapless = dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524);
  const ofEra = Math.floor((leapless - Math.floor(dayOfEra / (ERA_DAYS - 1))) / 365);
  const dayOfYear = dayOfEra - (365 * ofEra + Math.floor(ofEra / 4) - Math.floor(ofEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = ((marchMonth + 2) % 12) + 1;
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  return [era * 400 + ofEra + (month <= 2 ? 1 : 0), month, day];
}

function daysOfMonth(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return modulo(year, 4) === 0 && (modulo(year, 100) !== 0 || modulo(year, 400) === 0) ? 29 : 28;
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
