/**
 * Pacemaker's two contracts, played by direct calls of the built command with the arguments and environment that Pacemaker
 * gives to agents (resource agent API 1.1, alert agents of Pacemaker 2.1). Pacemaker itself needs corosync's cluster
 * membership, root and a machine of its own, which no test on a developer's machine may take.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import type { PostgresServer } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type SiteDatabase,
  siteOf,
  startSystemPostgres,
} from '../support/replication-pair.ts';

interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

let server: PostgresServer;
let a: SiteDatabase;
let folder: string;
let states: string;

beforeAll(async () => {
  folder = await mkdtemp(join(privateTemporaryFolder(), 'pacemaker-'));
  states = await mkdtemp(join(folder, 'rsctmp-'));
  server = await startSystemPostgres();
  a = await makeSite('a', ['b'], siteOf(server));
  await writeConfig('a.yaml', a.app);
  await writeConfig('away.yaml', a.app.replace(/:\d+\//, ':1/'));
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => query(a.owner, 'DELETE FROM lastcall.failovers'));

async function writeConfig(name: string, url: string): Promise<void> {
  const config = {
    site: 'a',
    domain: 'lastcall.test',
    postgres: { url },
    redis: { url: 'redis://127.0.0.1:1' },
    api: { listen: '127.0.0.1:1' },
  };
  await writeFile(join(folder, name), stringify(config));
}

/** The agent script of docs/operations/pacemaker.md, with nothing in its environment but what Pacemaker sets. */
function agent(environment: Record<string, string>, args: string[] = [], config = 'a.yaml'): Promise<Run> {
  const main = join(packageRoot(), 'dist/services/cli/main.js');
  const command = [main, 'hook', 'pacemaker', ...args, '--config', join(folder, config)];
  return new Promise((resolve) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...environment };
    execFile(process.execPath, command, { env }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const requested = () =>
  query(a.owner, 'SELECT site, reason, requested_by FROM lastcall.failovers ORDER BY requested_at');

const resource = (more: Record<string, string> = {}) => ({
  OCF_ROOT: '/usr/lib/ocf',
  OCF_RA_VERSION_MAJOR: '1',
  OCF_RA_VERSION_MINOR: '1',
  OCF_RESOURCE_INSTANCE: 'lastcall:0',
  OCF_RESOURCE_TYPE: 'hook',
  OCF_RESOURCE_PROVIDER: 'lastcall',
  OCF_RESKEY_CRM_meta_timeout: '60000',
  HA_RSCTMP: states,
  ...more,
});

const alert = (more: Record<string, string> = {}) => ({
  CRM_alert_version: '2.1.5',
  CRM_alert_recipient: 'a',
  CRM_alert_kind: 'resource',
  CRM_alert_node: 'n2',
  CRM_alert_nodeid: '2',
  CRM_alert_rsc: 'postgresql',
  CRM_alert_task: 'promote',
  CRM_alert_interval: '0',
  CRM_alert_desc: 'ok',
  CRM_alert_status: '0',
  CRM_alert_rc: '0',
  CRM_alert_target_rc: '0',
  CRM_alert_exec_time: '812',
  CRM_alert_timestamp: '04:00:00.000000',
  ...more,
});

test('the resource agent: probed, started where the primary is, monitored, stopped', async () => {
  const status = async (action: string) => (await agent(resource(), [action])).status;
  expect(await status('monitor'), 'the probe before the first start: OCF_NOT_RUNNING').toBe(7);
  expect(await agent(resource(), ['start'])).toMatchObject({ status: 0, err: '' });
  expect(await requested()).toEqual([{ site: 'a', reason: 'pacemaker start', requested_by: 'pacemaker' }]);
  expect(await status('monitor')).toBe(0);
  expect(await status('stop')).toBe(0);
  expect(await status('stop'), 'stopping what is stopped is a success').toBe(0);
  expect(await status('monitor')).toBe(7);
  expect(await readdir(states)).toEqual([]);
  expect(await requested(), 'only start asks').toHaveLength(1);
});

test('a start that cannot be kept fails with one line, and is not running afterwards', async () => {
  const start = await agent(resource(), ['start'], 'away.yaml');
  expect(start).toMatchObject({ status: 1, out: '' });
  expect(start.err.trim().split('\n')).toHaveLength(1);
  expect((await agent(resource(), ['monitor'], 'away.yaml')).status).toBe(7);
});

test('of the notifications only the one after a promotion asks', async () => {
  const notify = (type: string, operation: string) =>
    agent(
      resource({
        OCF_RESKEY_CRM_meta_notify_type: type,
        OCF_RESKEY_CRM_meta_notify_operation: operation,
      }),
      ['notify'],
    );
  for (const [type, operation] of [
    ['pre', 'promote'],
    ['post', 'demote'],
  ] as const) {
    expect(await notify(type, operation)).toMatchObject({ status: 0, err: '' });
  }
  expect(await requested()).toEqual([]);
  expect((await notify('post', 'promote')).status).toBe(0);
  expect(await requested()).toMatchObject([{ reason: 'pacemaker post-promote' }]);
});

test('meta-data is the description that Pacemaker reads', async () => {
  const { status, out } = await agent({ OCF_ROOT: '/usr/lib/ocf' }, ['meta-data']);
  expect(status).toBe(0);
  for (const action of ['start', 'stop', 'monitor', 'meta-data'])
    expect(out).toContain(`<action name="${action}"`);
});

test('the alert agent: a successful promotion asks, everything else is acknowledged', async () => {
  for (const environment of [
    alert({ CRM_alert_task: 'monitor', CRM_alert_interval: '10' }),
    alert({ CRM_alert_rc: '1', CRM_alert_desc: 'unknown error' }),
    { CRM_alert_kind: 'node', CRM_alert_node: 'n1', CRM_alert_desc: 'lost' },
  ]) {
    expect(await agent(environment)).toMatchObject({ status: 0, err: '' });
  }
  expect(await requested()).toEqual([]);
  expect(await agent(alert())).toMatchObject({ status: 0, err: '' });
  expect(await requested()).toEqual([
    { site: 'a', reason: 'pacemaker promote on n2', requested_by: 'pacemaker' },
  ]);
});
