import type { Command, Result } from '../command.ts';
import type { Context } from '../context.ts';
import { type HookVerdict, pacemakerVerdict, patroniVerdict, repmgrVerdict } from '../hook-events.ts';
import type { Input } from '../input.ts';
import {
  isResourceRunning,
  OCF_NOT_RUNNING,
  RESOURCE_AGENT_METADATA,
  setResourceRunning,
} from '../ocf-resource.ts';
import { requestFailover } from '../request-failover.ts';

const SITE_OPTION = 'the site is that of the configuration, or --site with --api';

export const hookRepmgr: Command = {
  name: 'hook repmgr',
  failsInOneLine: true,
  summary: `for event_notification_command='lastcall hook repmgr %n %e %s "%t" "%d"' (${SITE_OPTION})`,
  arguments: [
    { name: 'NODE', description: '%n' },
    { name: 'EVENT', description: '%e' },
    { name: 'SUCCESS', description: '%s: 1 or 0' },
    { name: 'TIMESTAMP', description: '%t', optional: true },
    { name: 'DETAILS', description: '%d, and with promotions %p', optional: true, variadic: true },
  ],
  run: (input, context) =>
    answer(
      input,
      context,
      repmgrVerdict(input.text('EVENT'), input.text('SUCCESS')),
      `repmgr node ${input.text('NODE')}`,
    ),
};

export const hookPatroni: Command = {
  name: 'hook patroni',
  failsInOneLine: true,
  summary: `for callbacks: on_role_change: 'lastcall hook patroni' (${SITE_OPTION})`,
  arguments: [
    { name: 'ACTION', description: 'on_role_change, on_start ...' },
    { name: 'ROLE', description: 'primary, master or replica' },
    { name: 'CLUSTER', description: "the cluster's name" },
  ],
  run: (input, context) =>
    answer(
      input,
      context,
      patroniVerdict(input.text('ACTION'), input.text('ROLE')),
      `patroni ${input.text('CLUSTER')}`,
    ),
};

export const hookPacemaker: Command = {
  name: 'hook pacemaker',
  failsInOneLine: true,
  summary: `as an alert agent (CRM_alert_*), or as an OCF resource agent (${SITE_OPTION})`,
  arguments: [
    {
      name: 'ACTION',
      description: 'of the resource agent: start, stop, monitor, promote, notify, meta-data',
      optional: true,
    },
  ],
  async run(input, context) {
    const action = input.maybeText('ACTION');
    if (action === 'meta-data')
      return { data: { metadata: RESOURCE_AGENT_METADATA }, text: RESOURCE_AGENT_METADATA };
    if (action === 'monitor') return monitor(context);
    if (action === 'stop') setResourceRunning(context.env, false);
    const result = await answer(input, context, pacemakerVerdict(action, context.env), 'pacemaker');
    if (action === 'start') setResourceRunning(context.env, true);
    return result;
  },
};

function monitor(context: Context): Result {
  const running = isResourceRunning(context.env);
  return running ? { data: { running }, text: '' } : { data: { running }, text: '', exit: OCF_NOT_RUNNING };
}

/** Whatever is no promotion is acknowledged: the tool must not take it for a failure. */
async function answer(input: Input, context: Context, verdict: HookVerdict, by: string): Promise<Result> {
  if (verdict.kind === 'ignore')
    return { data: { accepted: false, why: verdict.why }, text: `ignored: ${verdict.why}` };
  const site = input.maybeText('site') ?? context.config().config.site;
  const id = await requestFailover(context, { site, reason: verdict.reason, requestedBy: by });
  return { data: { id, site, reason: verdict.reason, accepted: true }, text: `failover ${id} is asked for` };
}
