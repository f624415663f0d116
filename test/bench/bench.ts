/** `npm run bench -- NAME [arguments]`. */
const BENCHES: Readonly<Record<string, () => Promise<{ bench(args: readonly string[]): Promise<void> }>>> = {
  replication: () => import('./replication/main.ts'),
  sip: () => import('./sip/main.ts'),
};

const [name = '', ...args] = process.argv.slice(2);
const load = BENCHES[name];
if (!load) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join('|')} [--quick] [--rounds N]`);
  process.exitCode = 2;
} else {
  await (await load()).bench(args);
}
