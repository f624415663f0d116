import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { query } from '../../support/replication-pair.ts';

interface ProfileNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly hitCount?: number;
}

/** What makes Node write a processor profile at its end, when one is wanted. */
export async function profileArgs(wanted: boolean): Promise<{ folder: string; args: string[] }> {
  if (!wanted) return { folder: '', args: [] };
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-profile-'));
  return { folder, args: ['--cpu-prof', `--cpu-prof-dir=${folder}`] };
}

/** The functions that used most of the time by themselves, dearest first. */
export async function dearestFunctions(folder: string, most = 25): Promise<string> {
  const [file] = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) return 'no profile was written';
  const { nodes } = JSON.parse(await readFile(join(folder, file), 'utf8')) as { nodes: ProfileNode[] };
  const hits = new Map<string, number>();
  for (const { callFrame, hitCount = 0 } of nodes) {
    const place = callFrame.url.split('/').slice(-3).join('/');
    const name = `${callFrame.functionName || '(anonymous)'} ${place}:${callFrame.lineNumber + 1}`;
    hits.set(name, (hits.get(name) ?? 0) + hitCount);
  }
  const busy = [...hits].filter(([name]) => !/^\((idle|program|root)\)/.test(name));
  const all = busy.reduce((sum, [, count]) => sum + count, 0);
  return busy
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, count]) => `${((count / all) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}

/** Settings under which PostgreSQL counts what each statement costs. */
export const STATEMENT_STATISTICS = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track_planning': 'on',
};

/** The ten statements that took most of the time, planning apart, dearest first. */
export async function dearestStatements(postgres: PostgresServer): Promise<string> {
  const url = postgres.url('postgres');
  await query(url, 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  const rows = await query(
    url,
    `SELECT calls, mean_exec_time * 1000 AS exec_us, total_plan_time * 1000 / calls AS plan_us, rows::float / calls AS rows,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS text
     FROM pg_stat_statements WHERE calls > 100 ORDER BY total_exec_time + total_plan_time DESC LIMIT 10`,
  );
  return rows
    .map(({ calls, exec_us, plan_us, rows: each, text }) =>
      [calls, Number(exec_us).toFixed(0), Number(plan_us).toFixed(0), Number(each).toFixed(1), text].join(
        ' | ',
      ),
    )
    .join('\n');
}
