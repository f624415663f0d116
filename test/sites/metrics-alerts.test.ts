import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';

const promtool = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)('promtool', args, { cwd: join(packageRoot(), 'docs/metrics') })).stdout;

test('Prometheus takes its configuration and the alert rules as they stand in the documents', async () => {
  expect(await promtool('check', 'config', 'prometheus.yml')).toContain('14 rules found');
});

test('a dead process, a lost site, a stopped direction and a full ring fire; a healthy site does not', async () => {
  expect(await promtool('test', 'rules', 'alerts-test.yml')).toContain('SUCCESS');
});
