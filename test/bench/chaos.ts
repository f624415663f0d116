/** `npm run chaos -- NAME [arguments]`: faults and attacks under calls. Ends with 0 only when every bar holds. */
const RUNS: Readonly<Record<string, () => Promise<{ chaos(args: readonly string[]): Promise<boolean> }>>> = {
  failover: () => import('./chaos/failover.ts'),
  kills: async () => ({ chaos: (await import('./chaos/failover.ts')).kills }),
  fuzz: () => import('./chaos/fuzz.ts'),
};

const [name = 'failover', ...args] = process.argv.slice(2);
const load = RUNS[name];
if (!load) {
  console.error(
    `usage: npm run chaos -- ${Object.keys(RUNS).join('|')} [--quick] [--only FAULT] [--rate CALLS_A_SECOND] [--messages N]`,
  );
  process.exitCode = 2;
} else {
  process.exitCode = (await (await load()).chaos(args)) ? 0 : 1;
}
