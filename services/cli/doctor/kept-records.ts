import { existsSync } from 'node:fs';
import type { Queryable } from '../../../shared/postgres/database.ts';
import { ringFiles } from '../../../shared/ring/ring-place.ts';
import type { Config } from '../../../shared/runtime/config.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Rule 31: what a dead process left behind waits for the next one on this host. */
export async function examineRings({ site, journal }: Config): Promise<Finding> {
  if (!existsSync(journal.ringDirectory)) return ok('ring files', `none in ${journal.ringDirectory} yet`);
  return judgeRings(journal.ringDirectory, await ringFiles(journal.ringDirectory, site));
}

/** Pure. */
export function judgeRings(
  directory: string,
  files: readonly { readonly file: string; readonly lives: boolean }[],
): Finding {
  const left = files.filter(({ lives }) => !lives).map(({ file }) => file);
  if (left.length === 0) return ok('ring files', `${files.length} in ${directory}, each with its process`);
  return warn(
    'ring files',
    `${left.join(', ')} in ${directory}: left by a process that died`,
    'Start a call-control or api of this site here: it writes what they hold. Never delete one.',
  );
}

export interface RunningFailover {
  readonly id: string;
  readonly site: string;
  readonly isAttended: boolean;
}

/** Rule 32: a failover that runs has somebody who works on it, by a lease that is live. */
export async function examineLeases(coordinator: Queryable): Promise<Finding> {
  return judgeLeases(
    await coordinator.query<RunningFailover>(
      `SELECT id, site, EXISTS (SELECT FROM lastcall.leases l WHERE lastcall.is_live(l)) AS "isAttended"
         FROM lastcall.failovers WHERE state = 'running' ORDER BY requested_at`,
    ),
  );
}

/** Pure. */
export function judgeLeases(running: readonly RunningFailover[]): Finding {
  const left = running.filter(({ isAttended }) => !isAttended);
  if (left.length > 0)
    return warn(
      'failovers',
      `nobody works on ${left.map(({ id, site }) => `${id} of site ${site}`).join(', ')}`,
      'Start the coordinator, of this site or of any other.',
    );
  const detail = running.length === 0 ? 'none runs' : `${running.length} under way, see lastcall failovers`;
  return ok('failovers', detail);
}
