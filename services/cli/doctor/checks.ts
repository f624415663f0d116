import { spawn } from 'node:child_process';
import { Redis } from 'ioredis';
import { isFlowing } from '../../../shared/domain/direction-state.ts';
import { ERRORS, LastcallError } from '../../../shared/domain/errors.ts';
import type { Micros } from '../../../shared/domain/micros.ts';
import { findPrimary, hostLabel } from '../../../shared/postgres/find-primary.ts';
import { redisPlace } from '../../../shared/redis/redis-place.ts';
import { readStatus } from '../commands/status.ts';
import type { Context } from '../context.ts';
import { judgeSettings, readDatabaseSettings } from './database-settings.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { examineLeases, examineRings } from './kept-records.ts';
import { examinePrimaries } from './primaries.ts';

/** A check answers with findings and throws what it could not find out; the doctor turns that into a failure. */
export interface Check {
  readonly name: string;
  run(context: Context): Promise<readonly Finding[]>;
}

const database: Check = {
  name: 'database',
  async run(context) {
    const { config } = context.config();
    const settings = await readDatabaseSettings(await context.database());
    return judgeSettings(settings, Object.keys(config.peers).length, config.replication.slotBudgetBytes);
  },
};

const schema: Check = {
  name: 'schema',
  async run(context) {
    const app = await context.database();
    const [row] = await app.query<{ site: string | null }>('SELECT lastcall.this_site() AS site');
    const configured = context.config().config.site;
    if (row?.site === configured) return [ok('schema', `site ${configured}`)];
    const detail = `the database is of site ${row?.site}, the configuration of ${configured}`;
    return [fail('schema', detail, 'Correct postgres.url or site.')];
  },
};

/** The replicator and the coordinator log in as roles of their own. */
const logins: Check = {
  name: 'logins',
  async run(context) {
    const { replicatorUrl, coordinatorUrl } = context.config().config.postgres;
    const urls = Object.entries({ replicatorUrl, coordinatorUrl });
    return Promise.all(urls.map(([key, url]) => loginFinding(`postgres.${key}`, url)));
  },
};

async function loginFinding(check: string, url: string | null): Promise<Finding> {
  if (url === null) return warn(check, 'not configured', 'Set it: the service that uses it cannot start.');
  return findPrimary(url, 3_000).then(
    (primary) => ok(check, `logs in at ${hostLabel(primary.url)}`),
    (error: unknown) => failure(check, error),
  );
}

const redis: Check = {
  name: 'redis',
  async run(context) {
    const { config } = context.config();
    const { url, commandTimeoutMs } = config.redis;
    const client = new Redis({
      ...redisPlace(url, config.site),
      lazyConnect: true,
      retryStrategy: () => null,
      sentinelRetryStrategy: () => null,
      commandTimeout: commandTimeoutMs * 4,
      connectTimeout: 2_000,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      const info = await client.info();
      return [judgeRedis(info)];
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return [
        fail(
          'redis',
          detail,
          'Start Redis, or correct redis.url: without it there is no journal while PostgreSQL is away.',
        ),
      ];
    } finally {
      client.disconnect();
    }
  },
};

/** Pure: from the text of INFO. */
export function judgeRedis(info: string): Finding {
  const value = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const detail = `version ${value('redis_version')}, maxmemory-policy ${value('maxmemory_policy')}, appendonly ${value('aof_enabled') === '1' ? 'yes' : 'no'}`;
  if (value('maxmemory_policy') !== 'noeviction') {
    return warn('redis', detail, 'Set maxmemory-policy noeviction: an evicted job is a lost record.');
  }
  if (value('aof_enabled') !== '1')
    return warn('redis', detail, 'Set appendonly yes: the journal must survive a restart of Redis.');
  return ok('redis', detail);
}

const peers: Check = {
  name: 'peers',
  async run(context) {
    const { config } = context.config();
    const names = Object.keys(config.peers);
    if (names.length === 0) return [warn('peers', 'none configured', 'Add the other sites under peers.')];
    return Promise.all(names.map((name) => peerFinding(context, name)));
  },
};

/** Reachable, knows this site, and a clock that agrees: dates decide which call is the last (R14). */
async function peerFinding(context: Context, name: string): Promise<Finding> {
  const { config } = context.config();
  const check = `peer ${name}`;
  try {
    const peer = await context.peerDatabase(name);
    const before = Date.now();
    const [row] = await peer.query<{ now: Micros; known: boolean }>(
      'SELECT clock_timestamp() AS now, EXISTS (SELECT FROM lastcall.sites WHERE site = $1) AS known',
      [config.site],
    );
    const skewMs = Math.round((row?.now ?? 0) / 1000 - (before + Date.now()) / 2);
    if (!row?.known)
      return fail(
        check,
        `it does not know site ${config.site}`,
        `Run \`lastcall sites add ${config.site}\` there.`,
      );
    if (Math.abs(skewMs) > config.calls.allowedSkewMs) {
      return warn(
        check,
        `its clock differs by ${skewMs} ms`,
        'Synchronise the clocks: the newest date decides which call is the last.',
      );
    }
    return ok(check, `reachable, clock differs by ${skewMs} ms`);
  } catch (error) {
    return failure(check, error);
  }
}

const replication: Check = {
  name: 'replication',
  async run(context) {
    const directions = await readStatus(context);
    return directions.map((d) => {
      const check = `direction ${d.from} > ${d.to}`;
      const detail = d.reason === null ? d.state : `${d.state}: ${d.reason}`;
      if (isFlowing(d.state)) return ok(check, detail);
      return warn(check, detail, 'See `lastcall status`; the replicator of the subscribing site must run.');
    });
  },
};

const api: Check = {
  name: 'api',
  async run(context) {
    await context.api().get('/v1/failovers?limit=1');
    return [ok('api', 'reachable, the token is accepted')];
  },
};

const primaries: Check = {
  name: 'primaries',
  run: (context) => examinePrimaries(context.config().config),
};

const rings: Check = {
  name: 'ring files',
  run: async (context) => [await examineRings(context.config().config)],
};

const leases: Check = {
  name: 'failovers',
  async run(context) {
    if (context.config().config.postgres.coordinatorUrl === null) return [];
    return [await examineLeases(await context.database('coordinator'))];
  },
};

const backup: Check = {
  name: 'backup',
  async run(context) {
    const command = context.config().config.coordinator.backupCheckCommand;
    const remedy = 'Set coordinator.backupCheckCommand, for example `barman check main`.';
    if (command === null) return [warn('backup', 'no recent backup is known', remedy)];
    const status = await exitStatus(command, context.env);
    if (status === 0) return [ok('backup', `\`${command}\` says a recent backup exists`)];
    return [
      warn(
        'backup',
        `\`${command}\` ended with ${status}`,
        'Make a backup, and see why the scheduled one is missing.',
      ),
    ];
  },
};

const BACKUP_CHECK_MS = 60_000;

async function exitStatus(command: string, env: Context['env']): Promise<number | string> {
  const child = spawn('/bin/sh', ['-c', command], { env, stdio: 'ignore', timeout: BACKUP_CHECK_MS });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
}

export const checks: readonly Check[] = [
  database,
  schema,
  logins,
  primaries,
  redis,
  peers,
  replication,
  leases,
  rings,
  api,
  backup,
];

export function failure(check: string, error: unknown): Finding {
  const known = error instanceof LastcallError ? error : new LastcallError('INTERNAL', { cause: error });
  const reason = known.details['message'] ?? (known.cause instanceof Error ? known.cause.message : '');
  return fail(
    check,
    reason ? `${known.message}: ${String(reason)}` : known.message,
    ERRORS[known.code].remedy,
  );
}
