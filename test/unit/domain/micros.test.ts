import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTimestamptz, micros, parseTimestamptz } from '../../../shared/domain/micros.ts';

/** The last instant whose microseconds a number holds exactly: 2255-06-05. */
const EXACT = Number.MAX_SAFE_INTEGER;

describe('timestamps in microseconds', () => {
  it.each([
    ['1970-01-01 00:00:00+00', 0],
    ['2026-11-21 03:47:00.123456+00', 1_795_232_820_123_456],
    ['2026-11-21T03:47:00.123456Z', 1_795_232_820_123_456],
    ['2026-11-21t03:47:00.123456z', 1_795_232_820_123_456],
    ['2026-11-21 05:17:00.1+01:30', 1_795_232_820_100_000],
    ['2026-11-21 00:47:00-03', 1_795_232_820_000_000],
    ['1969-12-31 23:59:59.999999+00', -1],
    ['2024-02-29 00:00:00+00', 1_709_164_800_000_000],
    ['0001-01-01 00:00:00+00', -62_135_596_800_000_000],
    ['0001-12-31 00:00:00+00 BC', -62_135_683_200_000_000],
    ['10000-01-01 00:00:00+00', 253_402_300_800_000_000],
    ['infinity', Number.POSITIVE_INFINITY],
    ['-infinity', Number.NEGATIVE_INFINITY],
  ])('%s is %d', (text, value) => {
    expect(parseTimestamptz(text)).toBe(value);
  });

  it.each([
    '',
    'now',
    '2026-11-21',
    '2026-11-21 03:47:00',
    '2026-02-29 00:00:00+00',
    '2026-13-01 00:00:00+00',
    '2026-00-01 00:00:00+00',
    '2026-04-31 00:00:00+00',
    '2026-11-21 24:00:00+00',
    '2026-11-21 03:60:00+00',
    '2026-11-21 03:47:61+00',
    '2026-11-21 03:47:00+24',
    '2026-11-21 03:47:00+00 AD',
    ' 2026-11-21 03:47:00+00',
    'Infinity',
  ])('%j is no timestamp', (text) => {
    expect(parseTimestamptz(text)).toBeNull();
  });

  it('round-trip to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: -EXACT, max: EXACT }), (value) => {
        expect(parseTimestamptz(formatTimestamptz(micros(value)))).toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  it('round-trip over all years of PostgreSQL, from 4713 BC to 294276', () => {
    const seconds = fc.integer({ min: -210_866_803_200, max: 9_224_318_015_999 });
    fc.assert(
      fc.property(seconds, (value) => {
        expect(parseTimestamptz(formatTimestamptz(micros(value * 1e6)))).toBe(value * 1e6);
      }),
      { numRuns: 2000 },
    );
  });

  it('agree with Date where that reaches', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2255-01-01'), noInvalidDate: true }), (date) => {
        const text = formatTimestamptz(micros(date.getTime() * 1000));
        expect(text).toBe(`${date.toISOString().slice(0, -1)}000Z`);
      }),
    );
  });

  it('keep PostgreSQL’s infinities', () => {
    expect(formatTimestamptz(micros(Number.POSITIVE_INFINITY))).toBe('infinity');
    expect(formatTimestamptz(micros(Number.NEGATIVE_INFINITY))).toBe('-infinity');
  });

  it('sort as their texts do within the years of RFC 3339', () => {
    const instant = fc.integer({ min: 0, max: EXACT });
    fc.assert(
      fc.property(instant, instant, (a, b) => {
        expect(formatTimestamptz(micros(a)) < formatTimestamptz(micros(b))).toBe(a < b);
      }),
    );
  });
});
