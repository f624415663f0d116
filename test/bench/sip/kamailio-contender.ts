import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../../shared/servers/free-port.ts';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { startServerProcess } from '../../../shared/servers/server-process.ts';
import { query } from '../../support/replication-pair.ts';
import { treeNanoseconds } from '../processor-ns.ts';
import type { Contender } from './contender.ts';
import { resident } from './lastcall-contender.ts';
import { POPULATION } from './town.ts';

const DATABASE = 'kamailio_bench';
const CHILDREN = 4;

export interface KamailioOptions {
  readonly postgres: PostgresServer;
  readonly terminals: number;
  readonly answererPort: number;
}

/** Kamailio as a stateful proxy that hands calls to the answerer; *52 by one stored function through sqlops. */
export async function startKamailio({
  postgres,
  terminals,
  answererPort,
}: KamailioOptions): Promise<Contender> {
  await postgres.createDatabase(DATABASE);
  const url = postgres.url(DATABASE);
  await query(url, schema(terminals));
  await query(url, 'VACUUM ANALYZE');
  const sip = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'kamailio-bench-'));
  const file = join(folder, 'kamailio.cfg');
  await writeFile(file, configuration(sip, answererPort, url));
  const server = startServerProcess({
    file: 'kamailio',
    args: ['-DD', '-E', '-f', file, '-m', '1024', '-M', '16', '-x', 'fm', '-X', 'fm', '-Y', folder],
    spawn: { cwd: folder },
    stopSignal: 'SIGTERM',
    logFile: join(folder, 'kamailio.log'),
    // All its processes are forked once it has said so; a fork is the only sign that needs no SIP.
    ready: async () => {
      await delay(500);
      return true;
    },
  });
  await server.untilReady(10_000);
  return {
    name: 'kamailio',
    target: `127.0.0.1:${sip}`,
    dials: ['plain', '*52'],
    recordsPlainCalls: false,
    used: () => ({ server: treeNanoseconds(server.pid), database: treeNanoseconds(postgres.pid), redis: 0 }),
    residentMegabytes: () => resident(server.pid),
    recordedSince: async (micros) => {
      const [row] = await query(
        url,
        'SELECT count(*)::int AS n FROM lastcalls_a WHERE last_dialed_date >= to_timestamp($1 / 1e6)',
        [micros],
      );
      return Number(row?.['n']);
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Plain tables and one function: who calls, the freshest of both sites, the new last dialed number. */
function schema(terminals: number): string {
  const { number, target, date } = POPULATION;
  const table = (site: 'a' | 'b') => `
    CREATE TABLE lastcalls_${site} (
      terminal_id bigint PRIMARY KEY, last_dialed_call text, last_dialed_date timestamptz
    ) WITH (fillfactor = 70);
    INSERT INTO lastcalls_${site}
      SELECT i, ${target(terminals)}, ${date(site)} FROM generate_series(1, ${terminals}) i;`;
  return `
    CREATE TABLE terminals (terminal_id bigint PRIMARY KEY, number text UNIQUE);
    INSERT INTO terminals SELECT i, ${number} FROM generate_series(1, ${terminals}) i;
    ${table('a')}
    ${table('b')}
    CREATE FUNCTION redial(caller text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
      terminal bigint;
      target text;
    BEGIN
      SELECT terminal_id INTO terminal FROM terminals WHERE number = caller;
      SELECT last_dialed_call INTO target FROM (
        SELECT last_dialed_call, last_dialed_date FROM lastcalls_a WHERE terminal_id = terminal
        UNION ALL
        SELECT last_dialed_call, last_dialed_date FROM lastcalls_b WHERE terminal_id = terminal
      ) both_sites ORDER BY last_dialed_date DESC LIMIT 1;
      INSERT INTO lastcalls_a VALUES (terminal, target, clock_timestamp())
        ON CONFLICT (terminal_id) DO UPDATE
        SET last_dialed_call = excluded.last_dialed_call, last_dialed_date = excluded.last_dialed_date;
      RETURN target;
    END $$;`;
}

const MODULES = ['tm', 'tmx', 'sl', 'rr', 'pv', 'maxfwd', 'textops', 'siputils', 'db_postgres', 'sqlops'];

const configuration = (port: number, answererPort: number, databaseUrl: string): string => `#!KAMAILIO
debug=0
log_stderror=yes
children=${CHILDREN}
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:${port}
${MODULES.map((module) => `loadmodule "${module}.so"`).join('\n')}
modparam("sqlops", "sqlcon", "db=>${databaseUrl}")
request_route {
  if (!mf_process_maxfwd_header("10")) exit;
  if (is_method("CANCEL")) {
    if (t_check_trans()) t_relay();
    exit;
  }
  if (has_totag()) {
    loose_route();
    t_relay();
    exit;
  }
  t_check_trans();
  record_route();
  if ($rU == "*52") {
    sql_query("db", "SELECT redial('$(ai{uri.user})')", "found");
    $rU = $dbr(found=>[0,0]);
    sql_result_free("found");
  }
  $du = "sip:127.0.0.1:${answererPort}";
  t_relay();
}
`;
