import { expect, test } from 'vitest';
import { servicesToDisable } from '../../../services/lab/bootstrap/install.mjs';
import {
  POSTGRES_FOLDERS as BOOTSTRAP_FOLDERS,
  PROGRAMS,
  programsFor,
} from '../../../services/lab/bootstrap/programs.mjs';
import { countTests } from '../../../services/lab/bootstrap/test-run.mjs';
import { POSTGRES_FOLDERS } from '../../../shared/servers/postgres-binaries.ts';

const passed = { status: 'passed', fullName: 'a' };
const file = (status: string, ...assertionResults: object[]) => ({
  name: 'x.test.ts',
  status,
  assertionResults,
});

test('passed tests are counted', () => {
  expect(countTests({ testResults: [file('passed', passed, passed)] }, 0)).toEqual({
    passed: 2,
    failed: 0,
    notes: [],
  });
});

test.each([
  ['a failed test', { testResults: [file('failed', passed, { status: 'failed', fullName: 'b' })] }, 1],
  ['a skipped test', { testResults: [file('passed', passed, { status: 'skipped', fullName: 'b' })] }, 0],
  ['a file that did not load', { testResults: [file('passed', passed), file('failed')] }, 1],
  ['an error outside of any test', { testResults: [file('passed', passed)] }, 1],
])('%s is one failure', (_what, report, status) => {
  expect(countTests(report, status)).toMatchObject({ passed: 1, failed: 1 });
});

test('a service that the machine knew before a package was installed stays as it is', () => {
  expect(servicesToDisable(['postgresql', 'redis', 'sipp'], [])).toEqual(['postgresql', 'redis-server']);
  expect(servicesToDisable(['postgresql', 'redis'], ['postgresql'])).toEqual(['redis-server']);
});

test('npm start needs Redis alone, unless it is to use system PostgreSQL', () => {
  expect(programsFor('start', [])).toEqual(['redis']);
  expect(programsFor('start', ['--pg', 'system'])).toContain('postgresql');
  expect(programsFor('start', ['--pg=system'])).toContain('postgresql');
  expect(programsFor('start', ['--ha'])).toEqual(['redis', 'postgresql', 'repmgr']);
});

test('npm test brings every real peer, and nothing for pure tests alone', () => {
  expect(programsFor('test', [])).toEqual(
    expect.arrayContaining(['sipp', 'baresip', 'redis', 'patroni', 'barman']),
  );
  expect(programsFor('test', ['test/unit'])).toEqual([]);
  expect(programsFor('test', ['test/unit', 'test/sip'])).toContain('sipp');
});

test('whatever a command must have can be installed on Debian, Fedora and macOS', () => {
  const required = Object.entries(PROGRAMS).filter(([, { optional }]) => !optional);
  for (const [name, { debian, fedora, macos }] of required) {
    expect({
      name,
      systems: [debian, fedora, macos].every((packages) => packages && packages.length > 0),
    }).toEqual({
      name,
      systems: true,
    });
  }
});

test('PostgreSQL of 15 to 18 counts as installed wherever the packages of a system put it, and the lab looks there too', () => {
  expect(BOOTSTRAP_FOLDERS).toEqual(POSTGRES_FOLDERS);
  for (const folder of [
    '/usr/lib/postgresql/17/bin',
    '/usr/pgsql-16/bin',
    '/opt/homebrew/opt/postgresql@18/bin',
  ]) {
    expect(PROGRAMS['postgresql']?.programs).toContain(`${folder}/postgres`);
    expect(PROGRAMS['repmgr']?.programs).toContain(`${folder}/repmgrd`);
  }
  expect(BOOTSTRAP_FOLDERS.some((folder) => /\b(14|19)\b/.test(folder))).toBe(false);
});
