import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pacemakerVerdict, patroniVerdict, repmgrVerdict } from '../../../services/cli/hook-events.ts';
import { runCli } from './run-cli.ts';

describe('repmgr event_notification_command', () => {
  it.each([
    'repmgrd_failover_promote',
    'standby_promote',
    'standby_switchover',
    'repmgrd_failover_follow',
    'node_rejoin',
  ])('%s with success asks for a failover', (event) =>
    expect(repmgrVerdict(event, '1')).toEqual({ kind: 'failover', reason: `repmgr ${event}` }),
  );
  it('an event that did not succeed changes nothing', () => {
    expect(repmgrVerdict('standby_promote', '0').kind).toBe('ignore');
  });
  it.each(['repmgrd_start', 'standby_register', 'repmgrd_monitor', ''])(
    '%j is acknowledged and ignored',
    (event) => {
      expect(repmgrVerdict(event, '1').kind).toBe('ignore');
    },
  );
});

describe('Patroni callbacks ACTION ROLE CLUSTER', () => {
  it.each(['primary', 'master', 'promoted'])('on_role_change to %s asks for a failover', (role) => {
    expect(patroniVerdict('on_role_change', role)).toEqual({
      kind: 'failover',
      reason: 'patroni on_role_change',
    });
  });
  it.each([
    ['on_role_change', 'replica'],
    ['on_start', 'primary'],
    ['on_reload', 'master'],
    ['on_stop', 'primary'],
  ])('%s %s is acknowledged and ignored', (action, role) =>
    expect(patroniVerdict(action, role).kind).toBe('ignore'),
  );
});

describe('Pacemaker', () => {
  const alert = {
    CRM_alert_kind: 'resource',
    CRM_alert_task: 'promote',
    CRM_alert_rc: '0',
    CRM_alert_node: 'n2',
  };
  it('alert agent: a promote that succeeded asks for a failover', () => {
    expect(pacemakerVerdict(null, alert)).toEqual({ kind: 'failover', reason: 'pacemaker promote on n2' });
  });
  it.each([
    { ...alert, CRM_alert_rc: '1' },
    { ...alert, CRM_alert_task: 'monitor' },
    { ...alert, CRM_alert_kind: 'node' },
    {},
  ])('alert agent: %j is acknowledged and ignored', (env) =>
    expect(pacemakerVerdict(null, env).kind).toBe('ignore'),
  );
  it('resource agent: start, promote and the notification after promote ask for a failover', () => {
    const notify = {
      OCF_RESKEY_CRM_meta_notify_type: 'post',
      OCF_RESKEY_CRM_meta_notify_operation: 'promote',
    };
    for (const action of ['start', 'promote']) expect(pacemakerVerdict(action, {}).kind).toBe('failover');
    expect(pacemakerVerdict('notify', notify).kind).toBe('failover');
    expect(pacemakerVerdict('notify', { ...notify, OCF_RESKEY_CRM_meta_notify_type: 'pre' }).kind).toBe(
      'ignore',
    );
    for (const action of ['stop', 'demote', 'validate-all'])
      expect(pacemakerVerdict(action, {}).kind).toBe('ignore');
  });
  it('resource agent: monitor answers OCF_NOT_RUNNING before start, meta-data is XML', async () => {
    const env = {
      HA_RSCTMP: mkdtempSync(join(tmpdir(), 'lastcall-ocf-')),
      OCF_RESOURCE_INSTANCE: 'lastcall',
    };
    expect(await runCli(['hook', 'pacemaker', 'monitor'], { env })).toMatchObject({ exit: 7, err: '' });
    expect((await runCli(['hook', 'pacemaker', 'stop'], { env })).exit).toBe(0);
    expect((await runCli(['hook', 'pacemaker', 'meta-data'], { env })).out).toContain(
      '<resource-agent name="lastcall"',
    );
  });
});

describe('a hook whose request nobody takes', () => {
  it('ends with status 1 and says why on standard error', async () => {
    const run = await runCli(
      [
        'hook',
        'repmgr',
        '2',
        'repmgrd_failover_promote',
        '1',
        '2026-11-21 04:00:00',
        'node 2 promoted',
        '--site',
        'a',
      ],
      { env: { LASTCALL_API: 'http://127.0.0.1:1', LASTCALL_TOKEN: 'x'.repeat(16) } },
    );
    expect(run).toMatchObject({ exit: 1, out: '' });
    expect(run.err).toContain('API_UNREACHABLE');
  });
  it('is not even asked when the event changes no primary', async () => {
    const run = await runCli(['hook', 'repmgr', '2', 'standby_register', '1', '', '']);
    expect(run).toMatchObject({ exit: 0, err: '' });
  });
});
