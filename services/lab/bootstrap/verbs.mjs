import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, buildConsole } from './build.mjs';
import { exclusively } from './exclusive.mjs';
import { installPrograms } from './install.mjs';
import { buildPackages } from './package.mjs';
import { installPackages } from './packages.mjs';
import { programsFor } from './programs.mjs';
import { Obstacle, ROOT } from './root.mjs';
import { runTests } from './test-run.mjs';

/** What each command runs once everything is installed and compiled. */
const VERBS = {
  start: (args) => runBuilt('services/lab/main.js', args),
  test: runTests,
  package: buildPackages,
  bench: (args) => runMeasurement('bench.js', args),
  chaos: (args) => runMeasurement('chaos.js', args),
};

export async function runVerb(verb, args) {
  const runIt = VERBS[verb];
  if (!runIt) {
    console.error(`usage: node services/lab/bootstrap.mjs ${Object.keys(VERBS).join('|')} [arguments]`);
    process.exit(2);
  }
  try {
    await exclusively(async () => {
      await installPackages();
      await installPrograms(programsFor(verb, args));
      // `npm test` compiles as one of its counted steps.
      if (verb === 'test') return;
      await build('tsconfig.build.json', ['services', 'shared']);
      await buildConsole();
    });
    await runIt(args);
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}

/** In this very process: Ctrl-C and signals reach the program without a go-between. */
async function runBuilt(file, args) {
  const program = join(ROOT, 'dist', file);
  process.argv = [process.argv[0], program, ...args];
  await import(pathToFileURL(program).href);
}

/** Benchmarks and chaos runs live beside the tests, outside of what is shipped. */
async function runMeasurement(file, args) {
  if (!existsSync(join(ROOT, 'test/bench/tsconfig.json'))) throw new Obstacle('test/bench is not there');
  await build('test/bench/tsconfig.json', ['services', 'shared', 'test/bench', 'test/support']);
  await runBuilt(join('test/bench', file), args);
}
