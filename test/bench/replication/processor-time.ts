import { readdirSync, readFileSync } from 'node:fs';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { type Engine, execute } from './engine.ts';

const TICK_MS = 10;

/** User and system time of a process so far, milliseconds; 0 when it is gone. */
export function processMs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
}

export function residentMegabytes(pid: number): number {
  const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1] ?? 0) / 1024;
}

function children(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task/${pid}`).includes('children')
    ? readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number)
    : [];
}

/** What an engine has used so far: its walsender, the whole subscribing cluster but the bench's own sessions, and its workers. */
export async function engineMs(
  engine: Engine,
  origin: PostgresServer,
  subscriber: PostgresServer,
): Promise<number> {
  const [slot] = await execute(
    origin.url(),
    `SELECT active_pid FROM pg_replication_slots WHERE slot_name LIKE '${engine.slot}'`,
  );
  const own = await execute(
    subscriber.url(),
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'bench'`,
  );
  const excluded = new Set(own.map((row) => Number(row['pid'])));
  const backends = children(subscriber.pid).filter((pid) => !excluded.has(pid));
  const all = [
    Number(slot?.['active_pid'] ?? 0),
    ...backends,
    ...engine.workers().map((worker) => worker.pid ?? 0),
  ];
  return all.reduce((sum, pid) => sum + (pid > 0 ? processMs(pid) : 0), 0);
}
