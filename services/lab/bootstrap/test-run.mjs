import { readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, buildConsole } from './build.mjs';
import { Obstacle, ROOT } from './root.mjs';
import { run } from './run.mjs';

const REPORT = join(ROOT, '.cache', 'test-report.json');

/** Types, style, build and every test; with arguments only the tests they select. Ends with the line `N passed, N failed`. */
export async function runTests(args) {
  const started = performance.now();
  const outcomes =
    args.length > 0
      ? []
      : [
          await check('types', 'tsc', '--noEmit'),
          await check("the console's types", 'tsc', '--noEmit', '-p', 'services/console'),
          await check('style', 'biome', 'check', '.'),
        ];
  outcomes.push(await compile());
  outcomes.push(await runVitest(args));
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  for (const { notes } of outcomes) for (const note of notes) console.error(note);
  console.log(`took ${Math.round((performance.now() - started) / 1000)} s`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

const outcome = (ok, note) => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, notes: ok ? [] : [note] });

async function check(name, program, ...args) {
  console.log(`Checking ${name} ...`);
  const status = await run(join(ROOT, 'node_modules', '.bin', program), args);
  return outcome(status === 0, `FAILED ${name}: ${program} ${args.join(' ')}`);
}

async function compile() {
  try {
    await build('tsconfig.build.json', ['services', 'shared']);
    await buildConsole();
    return outcome(true);
  } catch (error) {
    if (error instanceof Obstacle) return outcome(false, 'FAILED build');
    throw error;
  }
}

/**
 * What is red while two files share the machine with their servers may only have come too late: up to three such files run
 * once more, alone. They stay red when they are red again; what was red is said either way.
 */
export async function runVitest(args, mayRepeat = args.length === 0) {
  const { report, found } = await vitest(args);
  const files = report?.testResults ?? [];
  const red = files.filter(({ status }) => status === 'failed');
  const names = red.map(({ name }) => relative(ROOT, name));
  if (!mayRepeat || red.length === 0 || red.length > MOST_REPEATED || !names.every(startsServers))
    return found;
  for (const note of found.notes) console.error(`${note}, beside other tests`);
  console.error(`Once more, alone: ${names.join(', ')}`);
  const others = countTests({ testResults: files.filter((file) => !red.includes(file)) }, 0);
  const { found: alone } = await vitest([...names, '--maxWorkers=1']);
  return { passed: others.passed + alone.passed, failed: alone.failed, notes: alone.notes };
}

const MOST_REPEATED = 3;
const startsServers = (name) => /^test.(pg|redis|sip|sites|faults|web)./.test(name);

async function vitest(args) {
  rmSync(REPORT, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const status = await run(join(ROOT, 'node_modules', '.bin', 'vitest'), ['run', ...reporters, ...args]);
  try {
    const report = JSON.parse(readFileSync(REPORT, 'utf8'));
    return { report, found: countTests(report, status) };
  } catch (error) {
    const note = `FAILED vitest: ended with ${status} and without a report (${error.message})`;
    return { report: null, found: outcome(false, note) };
  }
}

/** A file that did not load, a skipped test and an error outside any test are failures too: none of them proved anything. */
export function countTests(report, status) {
  const files = report.testResults ?? [];
  const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: file.name })));
  const notPassed = tests.filter((test) => test.status !== 'passed');
  const notLoaded = files.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  const notes = [
    ...notPassed.map((test) => `FAILED ${test.file}: ${test.fullName} (${test.status})`),
    ...notLoaded.map((file) => `FAILED ${file.name}: ${file.message || 'did not run'}`),
  ];
  if (notes.length === 0 && status !== 0)
    notes.push(`FAILED vitest: ended with ${status} though no test failed`);
  return { passed: tests.length - notPassed.length, failed: notes.length, notes };
}
