import type { Command } from './command.ts';
import { alerts } from './commands/alerts.ts';
import { audit } from './commands/audit.ts';
import { bansLift, bansList } from './commands/bans.ts';
import { calls } from './commands/calls.ts';
import { compare } from './commands/compare.ts';
import { completion } from './commands/completion.ts';
import { configCheck, configShow } from './commands/config.ts';
import { doctor } from './commands/doctor.ts';
import { failover, failovers, heal } from './commands/failover.ts';
import { forget } from './commands/forget.ts';
import { hookPacemaker, hookPatroni, hookRepmgr } from './commands/hook.ts';
import { init } from './commands/init.ts';
import { lookup } from './commands/lookup.ts';
import { ready } from './commands/ready.ts';
import { records } from './commands/records.ts';
import { salvage } from './commands/salvage.ts';
import { secretsList, secretsRotate } from './commands/secrets.ts';
import { sitesAdd, sitesList, sitesRemove } from './commands/sites.ts';
import { status } from './commands/status.ts';
import { pause, resume, resync } from './commands/steer-replication.ts';
import { switchover } from './commands/switchover.ts';
import { tablesList, tablesRemove, tablesShow } from './commands/tables.ts';
import { tablesAdd } from './commands/tables-add.ts';
import {
  targetsAdd,
  targetsCompare,
  targetsList,
  targetsRemove,
  targetsResync,
  targetsShow,
} from './commands/targets.ts';
import { terminalsAdd } from './commands/terminals-add.ts';
import { terminalsExport } from './commands/terminals-export.ts';
import { terminalsImport } from './commands/terminals-import.ts';
import { terminalsList } from './commands/terminals-list.ts';
import { terminalsRemove } from './commands/terminals-remove.ts';
import { terminalsShow } from './commands/terminals-show.ts';
import { terminalsUpdate } from './commands/terminals-update.ts';
import { tokensAdd, tokensList, tokensRevoke } from './commands/tokens.ts';

/** In the order of --help. */
export const commands: readonly Command[] = [
  init,
  status,
  lookup,
  calls,
  records,
  forget,
  terminalsAdd,
  terminalsList,
  terminalsShow,
  terminalsRemove,
  terminalsUpdate,
  terminalsImport,
  terminalsExport,
  sitesAdd,
  sitesList,
  sitesRemove,
  tablesAdd,
  tablesList,
  tablesShow,
  tablesRemove,
  targetsAdd,
  targetsList,
  targetsShow,
  targetsResync,
  targetsCompare,
  targetsRemove,
  alerts,
  bansList,
  bansLift,
  tokensAdd,
  tokensList,
  tokensRevoke,
  audit,
  secretsList,
  secretsRotate,
  resync,
  pause,
  resume,
  compare,
  failover,
  failovers,
  heal,
  salvage,
  switchover,
  hookRepmgr,
  hookPatroni,
  hookPacemaker,
  configCheck,
  configShow,
  ready,
  doctor,
  completion(() => commands),
];

export const GROUPS: Readonly<Record<string, string>> = {
  terminals: 'provision terminals',
  sites: 'the sites that this database knows',
  tables: 'tables of your own that every site keeps one of, as last calls are kept',
  targets: 'databases elsewhere that get the freshest of chosen tables',
  secrets: "what this site's processes sign with",
  tokens: 'who may use the REST API and the console',
  bans: 'log-ins that are held back',
  hook: 'called by repmgr, Patroni or Pacemaker',
  config: 'check or show the configuration',
};
