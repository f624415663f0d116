/** The dissertation's load: pgbench -c8 -j8 -M prepared, single-row upserts of one random terminal through the view. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { execute } from './engine.ts';

const run = promisify(execFile);

const SCRIPT = `\\set id random(1, :terminals)
\\set number random(1000000, 9999999)
INSERT INTO lastcall.lastcalls (terminal_id, user_id, last_dialed_call, last_dialed_num_id, last_dialed_date,
  last_received_call, last_received_num_id, last_received_date, last_received_call_id, last_received_user_num)
VALUES (:id, :id, '+4930' || :number, :number, clock_timestamp(), '+4940' || :number, :number, clock_timestamp(), 'call-' || :number || '@a', '+4989' || :id);
`;

/** Many rows a transaction, for a backlog too large to be written call by call. */
const BULK_SCRIPT = `\\set first random(1, :terminals - :rows + 1)
UPDATE lastcall.lastcalls_a SET last_dialed_call = '+4930' || terminal_id, last_dialed_date = clock_timestamp()
WHERE terminal_id BETWEEN :first AND :first::bigint + :rows - 1;
`;

export interface LoadResult {
  /** Rows written. */
  readonly writes: number;
  readonly perSecond: number;
}

export interface Load {
  readonly terminals: number;
  /** Either so long ... */
  readonly seconds?: number;
  /** ... or so many. */
  readonly writes?: number;
  /** Absent: full speed. */
  readonly perSecond?: number;
  /** Rows in each transaction; absent: one, as a call writes it. */
  readonly bulk?: number;
}

export async function writeLoad(origin: PostgresServer, folder: string, load: Load): Promise<LoadResult> {
  const script = join(folder, 'upsert.sql');
  const rows = load.bulk ?? 1;
  await writeFile(script, load.bulk ? BULK_SCRIPT : SCRIPT);
  const extent = load.writes
    ? ['-t', String(Math.ceil(load.writes / rows / 8))]
    : ['-T', String(load.seconds)];
  const rate = load.perSecond ? ['-R', String(load.perSecond)] : [];
  // A backlog is only to be there: without waiting for the disk at each commit it is there sooner.
  const env = load.writes ? { ...process.env, PGOPTIONS: '-c synchronous_commit=off' } : process.env;
  const { stdout } = await run(
    'pgbench',
    [
      ...['-n', '-c', '8', '-j', '8', '-M', 'prepared', '-f', script],
      ...['-D', `terminals=${load.terminals}`, '-D', `rows=${rows}`],
      ...extent,
      ...rate,
      origin.url(),
    ],
    { env },
  );
  return {
    writes: rows * Number(/actually processed: (\d+)/.exec(stdout)?.[1] ?? 0),
    perSecond: rows * Number(/tps = ([\d.]+) \(without/.exec(stdout)?.[1] ?? 0),
  };
}

/** All terminals with all three groups filled. */
export async function fill(origin: PostgresServer, terminals: number): Promise<void> {
  await execute(
    origin.url(),
    `TRUNCATE lastcall.lastcalls_a;
     INSERT INTO lastcall.lastcalls_a (terminal_id, user_id, last_dialed_call, last_dialed_num_id, last_dialed_date, last_received_call,
         last_received_num_id, last_received_date, last_received_call_id, last_received_user_num, last_terminated_call, last_terminated_num_id,
         last_terminated_date, last_terminated_call_id, last_terminated_user_num, last_received_sip_uri, last_terminated_sip_uri)
       SELECT i, i, '+4930' || i, i, now(), '+4940' || i, i, now(), 'call-' || i || '@a', '+4989' || i, '+4950' || i, i, now(),
         'term-' || i || '@a', '+4989' || i, 'sip:' || i || '@a', 'sip:' || i || '@a' FROM generate_series(1, ${terminals}) i;
     VACUUM ANALYZE lastcall.lastcalls_a`.replace(/;\s*VACUUM.*/s, ''),
  );
  await execute(origin.url(), 'VACUUM ANALYZE lastcall.lastcalls_a');
  await execute(origin.url(), 'CHECKPOINT');
}
