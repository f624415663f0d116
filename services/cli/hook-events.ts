/** What a high-availability tool says happened, and whether it means that a database was promoted or came back. */
export type HookVerdict =
  | { readonly kind: 'failover'; readonly reason: string }
  | { readonly kind: 'ignore'; readonly why: string };

const REPMGR_EVENTS = new Set([
  'repmgrd_failover_promote',
  'standby_promote',
  'standby_switchover',
  'repmgrd_failover_follow',
  'node_rejoin',
]);

/** repmgr's `event_notification_command` with `%n %e %s "%t" "%d"`. */
export function repmgrVerdict(event: string, success: string): HookVerdict {
  if (!REPMGR_EVENTS.has(event)) return { kind: 'ignore', why: `event ${event} changes no primary` };
  if (success !== '1') return { kind: 'ignore', why: `event ${event} did not succeed` };
  return { kind: 'failover', reason: `repmgr ${event}` };
}

const PATRONI_PRIMARY = new Set(['primary', 'master', 'promoted']);

/** Patroni's callbacks `ACTION ROLE CLUSTER`. A replica's role change is the other half of the same event. */
export function patroniVerdict(action: string, role: string): HookVerdict {
  if (action !== 'on_role_change') return { kind: 'ignore', why: `${action} changes no primary` };
  if (!PATRONI_PRIMARY.has(role)) return { kind: 'ignore', why: `role ${role} takes no writes` };
  return { kind: 'failover', reason: `patroni ${action}` };
}

export type PacemakerEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * Pacemaker's two contracts: an alert agent gets no argument and `CRM_alert_*`; a resource agent gets the action and
 * `OCF_RESKEY_CRM_meta_notify_*`. A resource that follows the primary is started where it was promoted.
 */
export function pacemakerVerdict(action: string | null, env: PacemakerEnvironment): HookVerdict {
  if (action === null) return alertVerdict(env);
  if (action === 'promote' || action === 'start') return { kind: 'failover', reason: `pacemaker ${action}` };
  const type = env['OCF_RESKEY_CRM_meta_notify_type'];
  const operation = env['OCF_RESKEY_CRM_meta_notify_operation'];
  if (action === 'notify' && type === 'post' && operation === 'promote') {
    return { kind: 'failover', reason: 'pacemaker post-promote' };
  }
  return { kind: 'ignore', why: `action ${action} changes no primary` };
}

function alertVerdict(env: PacemakerEnvironment): HookVerdict {
  const kind = env['CRM_alert_kind'];
  const task = env['CRM_alert_task'];
  if (kind === undefined) return { kind: 'ignore', why: 'neither an action nor CRM_alert_kind is given' };
  if (kind !== 'resource' || task !== 'promote')
    return { kind: 'ignore', why: `alert ${kind} ${task ?? ''} changes no primary` };
  if (env['CRM_alert_rc'] !== '0')
    return { kind: 'ignore', why: `promote ended with ${env['CRM_alert_rc'] ?? 'no status'}` };
  return { kind: 'failover', reason: `pacemaker promote on ${env['CRM_alert_node'] ?? 'a node'}` };
}
