import { runNamed } from './run-named.ts';

/** `npm run chaos -- NAME [arguments]`: faults and attacks under calls. Ends with 0 only when every bar holds. */
const RUNS = {
  failover: async () => (await import('./chaos/failover.ts')).chaos,
  kills: async () => (await import('./chaos/failover.ts')).kills,
  fuzz: async () => (await import('./chaos/fuzz.ts')).chaos,
};

const [name = 'failover', ...args] = process.argv.slice(2);
const held = await runNamed(
  RUNS,
  [name, ...args],
  `npm run chaos -- ${Object.keys(RUNS).join('|')} [--quick] [--only FAULT] [--rows N] [--rate CALLS_A_SECOND] [--messages N]`,
);
process.exitCode ??= held === true ? 0 : 1;
