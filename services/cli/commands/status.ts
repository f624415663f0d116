import { setTimeout as delay } from 'node:timers/promises';
import type { DirectionStatus } from '../../../shared/domain/direction-state.ts';
import { type OpenDatabase, readAllDirections } from '../../../shared/postgres/directions/all-directions.ts';
import { directionJson } from '../../../shared/postgres/directions/replication-status.ts';
import { readTargets, type TargetStatus } from '../../../shared/postgres/directions/targets.ts';
import type { Command, ExitStatus } from '../command.ts';
import type { Context } from '../context.ts';
import { directionTable, isWell } from '../direction-table.ts';
import { LagHistory } from '../lag-history.ts';
import { liveScreen } from '../live-screen.ts';
import { millisecondsText, table } from '../table.ts';
import { isTargetWell, targetTable } from '../target-table.ts';

const BUDGET_MS = 3_000;
const WATCH_EVERY_MS = 1_000;

export const status: Command = {
  name: 'status',
  summary:
    "each direction's state, lag and slot, as its subscriber reports it, and this site's targets; exit status 3 unless all stream",
  options: [
    {
      flags: '--watch',
      description: 'print it again each second until interrupted (with --json a line each)',
    },
  ],
  async run(input, context) {
    const seen = new LagHistory();
    const live = context.outIsTerminal && !input.flag('json');
    for (;;) {
      const directions = await readStatus(context);
      const targets = await readOwnTargets(context);
      const exit: ExitStatus = directions.every(isWell) && targets.every(isTargetWell) ? 0 : 3;
      const data = { site: context.config().config.site, directions: directions.map(directionJson), targets };
      if (!input.flag('watch')) return { data, text: statusText(directions, targets), exit };
      seen.add(directions);
      if (input.flag('json')) context.out(`${JSON.stringify(data)}\n`);
      else if (live) context.out(await liveScreen(directions, seen, context));
      else context.out(`${directions.map(directionLine).join('\n')}\n`);
      await delay(WATCH_EVERY_MS, undefined, { signal: context.signal }).catch(() => {});
      if (context.signal.aborted) return { data, text: '', exit, printed: true };
    }
  },
};

/** For a pipe: one line a direction and second, each of its own. */
function directionLine({ from, lagMs, reason, state, to }: DirectionStatus): string {
  const lag = lagMs === null ? '' : ` lag ${millisecondsText(lagMs)}`;
  return `${new Date().toISOString()} ${from} > ${to} ${state}${reason === null ? '' : ` (${reason})`}${lag}`;
}

export function readStatus(context: Context): Promise<DirectionStatus[]> {
  const { config } = context.config();
  const databases = new Map<string, OpenDatabase>([[config.site, () => context.database()]]);
  for (const peer of Object.keys(config.peers)) databases.set(peer, () => context.peerDatabase(peer));
  return readAllDirections(databases, BUDGET_MS);
}

/** None while the own database is away: the directions say so. */
const readOwnTargets = async (context: Context): Promise<TargetStatus[]> => {
  try {
    return await readTargets(await context.database());
  } catch {
    return [];
  }
};

function statusText(directions: readonly DirectionStatus[], targets: readonly TargetStatus[]): string {
  const tables = directions.flatMap(({ from, to, kinds }) =>
    kinds.map(({ kind, state, reason, detail }) => [`${from} > ${to}`, kind, state, reason, detail]),
  );
  const parts = [directionTable(directions)];
  if (tables.length > 0) parts.push(table(['direction', 'table', 'state', 'reason', 'detail'], tables));
  if (targets.length > 0) parts.push(targetTable(targets));
  return parts.join('\n\n');
}
