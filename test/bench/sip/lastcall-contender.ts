import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { stringify } from 'yaml';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { freePort } from '../../../shared/servers/free-port.ts';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { startRedis } from '../../../shared/servers/redis-server.ts';
import { startServerProcess } from '../../../shared/servers/server-process.ts';
import { makeSite, query } from '../../support/replication-pair.ts';
import { treeNanoseconds } from '../processor-ns.ts';
import type { Contender } from './contender.ts';
import { POPULATION } from './town.ts';

export interface LastcallContender extends Contender {
  readonly pid: number;
  /** `host:port` of its health listener. */
  readonly health: string;
  redisKeys(): Promise<number>;
}

export interface LastcallOptions {
  readonly postgres: PostgresServer;
  readonly terminals: number;
  readonly answererPort: number;
  /** In reports; also of its database. */
  readonly name?: string;
  /** As `calls.recordDays`: 0 writes no call records. */
  readonly recordDays?: number;
  /** As `sip.processes`. */
  readonly processes?: number;
  /** Arguments for Node, such as `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
}

/** One call-control of a site that trusts 127.0.0.1 and hands calls to the answerer, with its Redis. */
export async function startLastcall(options: LastcallOptions): Promise<LastcallContender> {
  const { postgres, terminals, answererPort, name = 'lastcall', processes = 1, nodeArgs = [] } = options;
  const bench = `bench_${name}`;
  await postgres.createDatabase(bench);
  const database = await makeSite('a', ['b'], (user, password) => postgres.url(bench, user, password));
  await populate(database.owner, terminals);
  const redis = await startRedis();
  const [sip, health] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-bench-'));
  const config = join(folder, 'a.yaml');
  await writeFile(
    config,
    stringify({
      site: 'a',
      domain: 'lastcall.test',
      postgres: { url: database.app },
      redis: { url: redis.url },
      sip: {
        udp: `127.0.0.1:${sip}`,
        trustedPeers: ['127.0.0.1'],
        nextHop: `sip:127.0.0.1:${answererPort}`,
        drainSeconds: 1,
        processes,
      },
      calls: { recordDays: options.recordDays ?? 0 },
      journal: { ringDirectory: folder },
      health: { callControl: `127.0.0.1:${health}` },
      log: { level: 'warn' },
    }),
  );
  const server = startServerProcess({
    file: process.execPath,
    args: [...nodeArgs, join(packageRoot(), 'dist/services/call-control/main.js'), '--config', config],
    spawn: { cwd: folder },
    stopSignal: 'SIGTERM',
    logFile: join(folder, 'call-control.log'),
    ready: async () => {
      const answer = await fetch(`http://127.0.0.1:${health}/readyz`).catch(() => null);
      if (!answer?.ok) await delay(25);
      return answer?.ok ?? false;
    },
  });
  await server.untilReady(30_000);
  return {
    name,
    pid: server.pid,
    health: `127.0.0.1:${health}`,
    redisKeys: () => redisKeys(redis.url),
    target: `127.0.0.1:${sip}`,
    dials: ['plain', '*52', '*69'],
    recordsPlainCalls: true,
    used: () => ({
      server: treeNanoseconds(server.pid),
      database: treeNanoseconds(postgres.pid),
      redis: treeNanoseconds(redis.pid),
    }),
    residentMegabytes: () => resident(server.pid),
    recordedSince: async (micros) => {
      const [row] = await query(
        database.owner,
        `SELECT count(*)::int AS n FROM lastcall.lastcalls_a WHERE last_dialed_date >= to_timestamp($1 / 1e6)`,
        [micros],
      );
      return Number(row?.['n']);
    },
    async stop() {
      await server.stop();
      await redis.remove();
      const log = await readFile(join(folder, 'call-control.log'), 'utf8').catch(() => '');
      if (log !== '') console.log(`call-control said:\n${log.slice(-2_000)}`);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function redisKeys(url: string): Promise<number> {
  const client = new Redis(url);
  const keys = await client.dbsize();
  client.disconnect();
  return keys;
}

export function resident(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
}

export async function populate(owner: string, terminals: number): Promise<void> {
  const { number, target, date } = POPULATION;
  await query(
    owner,
    `INSERT INTO lastcall.terminals_a (terminal_id, user_id, username, aor, ha1_md5, number, number_id)
     SELECT i, i, ${number}, 'sip:' || ${number} || '@lastcall.test', md5(${number} || ':lastcall.test:secret'), ${number}, i
     FROM generate_series(1, ${terminals}) i`,
  );
  for (const site of ['a', 'b'] as const) {
    const insert = `INSERT INTO lastcall.lastcalls_${site} (terminal_id, user_id, last_dialed_call, last_dialed_date,
         last_received_call, last_received_user_num, last_received_date)
       SELECT i, i, ${target(terminals)}, ${date(site)}, ${number}, ${target(terminals)}, ${date(site)}
       FROM generate_series(1, ${terminals}) i`;
    // A copy is written by its replicator only (I8).
    await query(owner, site === 'a' ? insert : `SET ROLE lastcall_replicator; ${insert}`);
  }
  await query(owner, 'VACUUM ANALYZE');
}
