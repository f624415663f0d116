import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';

const SERVICES = ['api', 'call-control', 'replicator', 'coordinator'];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lastcall-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A faulty configuration ends it before it does anything. */
function run(service: string, yaml: string) {
  const file = join(folder, `${service}.yaml`);
  writeFileSync(file, yaml);
  const main = join(packageRoot(), `dist/services/${service}/main.js`);
  return spawnSync(process.execPath, [main, '--config', file], { encoding: 'utf8', timeout: 20_000 });
}

it.each(SERVICES)('%s tells every fault of its configuration and never a stack trace', (service) => {
  const { status, stderr } = run(service, 'site: all\ndomain: lastcall.test\nsip: { udp: nowhere }\n');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^The configuration is not valid:\n/);
  for (const path of ['site', 'postgres.url', 'redis.url', 'sip.udp'])
    expect(stderr).toContain(`  ${path}: `);
  expect(stderr).not.toMatch(/\n\s+at /);
});

it.each([
  ['replicator', 'postgres.replicatorUrl'],
  ['coordinator', 'postgres.coordinatorUrl'],
])('%s names the key that it alone needs, %s', (service, key) => {
  const { status, stderr } = run(
    service,
    'site: a\ndomain: lastcall.test\npostgres: { url: "postgres://u:p@127.0.0.1/x" }\nredis: { url: "redis://127.0.0.1" }\n',
  );
  expect(status).toBe(1);
  expect(stderr).toContain(`  ${key}: missing`);
  expect(stderr).not.toMatch(/\n\s+at /);
});
