import { expect, it } from 'vitest';
import {
  type Admittance,
  EVERYBODY,
  nextAdmittance,
  type Round,
} from '../../../shared/domain/load-shedding.ts';

const round = (utilisation: number, calls: number, registrations: number): Round => ({
  utilisation,
  calls,
  registrations,
  lost: 7,
});
const after = (rounds: number, each: Round, from: Admittance = EVERYBODY): Admittance =>
  Array.from({ length: rounds }).reduce<Admittance>((now) => nextAdmittance(now, each), from);
const AVALANCHE = round(1, 50, 500);
const CALLS = round(1, 300, 0);

it('a short burst refuses nobody', () => {
  expect(after(2, AVALANCHE)).toMatchObject({ registrations: 1, calls: 1 });
});

it('a process that is busy with anything else refuses nobody, however long', () => {
  expect(after(100, round(1, 5, 5))).toMatchObject({ registrations: 1, calls: 1 });
});

it('an avalanche of registrations costs registrations first, and calls as few as possible', () => {
  const shed = after(5, AVALANCHE);
  expect(shed.registrations).toBeLessThan(0.2);
  expect(shed.calls).toBe(1);
  expect(after(12, AVALANCHE).calls).toBeLessThan(1);
});

it('a saturated process that loses nothing refuses nobody: it is as fast as it can be', () => {
  expect(after(100, { ...CALLS, lost: 0 }).calls).toBe(1);
  expect(after(5, { ...CALLS, lost: 0 }, after(5, CALLS)).calls).toBeLessThan(after(5, CALLS).calls);
});

it('G7 a flood of registrations refuses no call while few call', () => {
  expect(after(100, round(1, 10, 5_000)).calls).toBe(1);
});

it('too many calls cost calls, never all of them', () => {
  expect(after(12, CALLS)).toMatchObject({ registrations: 1 });
  expect(after(12, CALLS).calls).toBeLessThan(0.4);
  expect(after(200, CALLS).calls).toBeGreaterThan(0);
});

it('busy but not saturated changes nothing', () => {
  const shed = after(12, CALLS);
  expect(after(5, round(0.95, 300, 0), shed)).toMatchObject({ calls: shed.calls, busyRounds: 0 });
});

it('with room again all calls are let in within two seconds of rounds, registrations after them', () => {
  const shed = after(200, AVALANCHE);
  const recovered = after(20, round(0.5, 80, 0), shed);
  expect(recovered.calls).toBe(1);
  expect(recovered.registrations).toBeLessThan(0.2);
  expect(after(40, round(0.5, 80, 0), shed)).toEqual(EVERYBODY);
});
