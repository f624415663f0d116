import { expect, it } from 'vitest';
import { type Admittance, EVERYBODY, nextAdmittance } from '../../../shared/domain/load-shedding.ts';

const after = (rounds: number, utilisation: number, from: Admittance = EVERYBODY): Admittance =>
  Array.from({ length: rounds }).reduce<Admittance>((now) => nextAdmittance(now, utilisation), from);

it('a short burst refuses nobody', () => {
  expect(after(2, 1)).toMatchObject({ registrations: 1, calls: 1 });
});

it('a process that never rests lets in fewer registrations, and calls as ever', () => {
  const shed = after(5, 1);
  expect(shed.registrations).toBeLessThan(0.2);
  expect(shed.calls).toBe(1);
});

it('when that is not enough it lets in fewer calls, never none', () => {
  expect(after(12, 1).calls).toBeLessThan(0.4);
  expect(after(200, 1).calls).toBeGreaterThan(0);
  expect(after(200, 1).registrations).toBeGreaterThan(0);
});

it('busy but not saturated changes nothing', () => {
  const shed = after(12, 1);
  expect(after(5, 0.95, shed)).toMatchObject({ calls: shed.calls, registrations: shed.registrations });
});

it('with room again all calls are let in within two seconds of rounds, registrations after them', () => {
  const shed = after(200, 1);
  const recovered = after(20, 0.5, shed);
  expect(recovered.calls).toBe(1);
  expect(recovered.registrations).toBeLessThan(0.2);
  expect(after(40, 0.5, shed)).toEqual(EVERYBODY);
});
