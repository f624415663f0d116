import { runNamed } from './run-named.ts';

/** `npm run bench -- NAME [arguments]`. */
const BENCHES = {
  replication: async () => (await import('./replication/main.ts')).bench,
  sip: async () => (await import('./sip/main.ts')).bench,
  overload: async () => (await import('./sip/overload.ts')).bench,
  avalanche: async () => (await import('./sip/avalanche.ts')).bench,
  soak: async () => (await import('./sip/soak.ts')).bench,
  ring: async () => (await import('./ring/main.ts')).bench,
  rest: async () => (await import('./rest/main.ts')).bench,
};

await runNamed(
  BENCHES,
  process.argv.slice(2),
  `npm run bench -- ${Object.keys(BENCHES).join('|')} [--quick] [--rounds N] [--only TEXT]`,
);
