/** `npm run bench -- rest [--seconds 10] [--connections 64]`: GET /v1/target and POST /v1/calls of one api, by wrk. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { freePort } from '../../../shared/servers/free-port.ts';
import { startRedis } from '../../../shared/servers/redis-server.ts';
import { runProgram } from '../../../shared/servers/run-program.ts';
import { startServerProcess } from '../../../shared/servers/server-process.ts';
import { startPostgres } from '../../support/postgres.ts';
import { makeSite } from '../../support/replication-pair.ts';
import { treeNanoseconds } from '../processor-ns.ts';
import { populate } from '../sip/lastcall-contender.ts';
import { writeResult } from '../write-result.ts';

const DATABASE = 'rest_bench';
const TERMINALS = 100_000;
const TOKEN = 'token-of-a-benchmark-0123';
/** Requests of each kind, before anything is measured. */
const WARM_UP_SECONDS = 6;

/** What wrk asks: a random subscriber each time; for POST a call of its own. */
const SCRIPTS = {
  'GET /v1/target': `
    function request()
      local terminal = 1000000 + math.random(${TERMINALS})
      return wrk.format("GET", "/v1/target?code=*52&terminal=" .. terminal)
    end`,
  'POST /v1/calls': `
    local calls = 0
    local run = tostring(math.random(1000000000))
    function request()
      calls = calls + 1
      local from, to = 1000000 + math.random(${TERMINALS}), 1000000 + math.random(${TERMINALS})
      local body = string.format('{"callId":"%s-%d","event":"dialed","from":"%d","to":"%d"}', run, calls, from, to)
      return wrk.format("POST", "/v1/calls", nil, body)
    end`,
} as const;

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '10' },
      connections: { type: 'string', default: '64' },
    },
  });
  const postgres = await startPostgres({ settings: { fsync: 'on', shared_buffers: '1GB' } });
  await postgres.createDatabase(DATABASE);
  const database = await makeSite('a', ['b'], (user, password) => postgres.url(DATABASE, user, password));
  await populate(database.owner, TERMINALS);
  const redis = await startRedis();
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-rest-'));
  const config = join(folder, 'a.yaml');
  const listen = `127.0.0.1:${port}`;
  await writeFile(
    config,
    stringify({
      site: 'a',
      domain: 'lastcall.test',
      postgres: { url: database.app },
      redis: { url: redis.url },
      journal: { ringDirectory: folder },
      api: {
        listen,
        accessLog: false,
        requestsPerSecond: 1_000_000,
        tokens: [{ token: TOKEN, role: 'admin' }],
      },
      log: { level: 'warn' },
    }),
  );
  const api = startServerProcess({
    file: process.execPath,
    args: [join(packageRoot(), 'dist/services/api/main.js'), '--config', config],
    spawn: { cwd: folder },
    stopSignal: 'SIGTERM',
    logFile: join(folder, 'api.log'),
    ready: async () => {
      const answer = await fetch(`http://${listen}/readyz`).catch(() => null);
      if (!answer?.ok) await delay(25);
      return answer?.ok ?? false;
    },
  });
  try {
    await api.untilReady(30_000);
    const figures: object[] = [];
    for (const [what, script] of Object.entries(SCRIPTS)) {
      const file = join(folder, 'wrk.lua');
      await writeFile(file, `wrk.headers["Content-Type"] = "application/json"\n${script}`);
      await asked(listen, file, WARM_UP_SECONDS, values.connections);
      const before = [treeNanoseconds(api.pid), treeNanoseconds(postgres.pid)];
      const answer = await asked(listen, file, Number(values.seconds), values.connections);
      const used = [treeNanoseconds(api.pid), treeNanoseconds(postgres.pid)].map(
        (ns, index) => (ns - (before[index] ?? 0)) / 1000 / answer.requests,
      );
      figures.push({
        what,
        ...answer,
        apiCpuUs: Math.round(used[0] ?? 0),
        databaseCpuUs: Math.round(used[1] ?? 0),
      });
      console.log(figures.at(-1));
    }
    await writeResult('rest', { terminals: TERMINALS, figures });
  } finally {
    await api.stop();
    await redis.remove();
    await postgres.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

async function asked(listen: string, script: string, seconds: number, connections: string) {
  const said = await runProgram('wrk', [
    ...['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script],
    ...['-H', `Authorization: Bearer ${TOKEN}`, `http://${listen}`],
  ]);
  const number = (form: RegExp) => Number(form.exec(said)?.[1] ?? 0);
  return {
    perSecond: Math.round(number(/Requests\/sec:\s+([\d.]+)/)),
    requests: number(/(\d+) requests in/),
    p50: /50%\s+(\S+)/.exec(said)?.[1] ?? '',
    p99: /99%\s+(\S+)/.exec(said)?.[1] ?? '',
    refused: number(/Non-2xx or 3xx responses: (\d+)/),
  };
}
