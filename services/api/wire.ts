import { readFileSync } from 'node:fs';
import { trimAuditLog } from '../../shared/postgres/audit-log.ts';
import { expireLastCalls, keepCallRecords } from '../../shared/postgres/call-records/write-call-records.ts';
import { Database } from '../../shared/postgres/database.ts';
import { databaseHealth, logDatabase } from '../../shared/postgres/database-reaction.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { Listener } from '../../shared/postgres/listener.ts';
import { PeerDatabases } from '../../shared/postgres/peer-databases.ts';
import { compareConfiguredSites } from '../../shared/postgres/repair/compare-configured.ts';
import { TerminalWatch } from '../../shared/postgres/terminal-watch.ts';
import { noteTokensUsed, readTokenHashes } from '../../shared/postgres/tokens.ts';
import { Recording } from '../../shared/recording/recording.ts';
import { AlertBoard } from '../../shared/redis/alert-board.ts';
import { BanBoard } from '../../shared/redis/ban-board.ts';
import { CallOnce } from '../../shared/redis/call-once.ts';
import { RedisConnection } from '../../shared/redis/connect.ts';
import { RedisPrimaryFloor } from '../../shared/redis/primary-floor.ts';
import { TerminalCache } from '../../shared/redis/terminal-cache.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import type { Config } from '../../shared/runtime/config.ts';
import { dialRules, featureCodes, featurePolicy } from '../../shared/runtime/feature-codes.ts';
import type { CheckResult, HealthOptions } from '../../shared/runtime/health.ts';
import type { Part } from '../../shared/runtime/lifecycle.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import { Metrics } from '../../shared/runtime/metrics.ts';
import { peerUrls } from '../../shared/runtime/peer-urls.ts';
import { followConfig } from '../../shared/runtime/watch-config.ts';
import { buildApp } from './app.ts';
import { consoleSettings } from './console-settings.ts';
import type { ApiDeps } from './deps.ts';
import { FailoverQueue } from './failover-queue.ts';
import { NamedTerminals } from './named-terminals.ts';
import { TerminalChanges } from './terminal-changes.ts';
import { Tokens } from './tokens.ts';
import type { ApiApp } from './typebox-provider.ts';

/** A revocation is heard at once; this is for when the listening connection is lost. */
const TOKENS_EVERY_MS = 1_000;
const TRIM_EVERY_MS = 3_600_000;
/** A process that is restarted each hour must trim as well. */
const FIRST_MS = 30_000;

export interface WiredApi {
  readonly app: ApiApp;
  /** In the order they start; the listener last. */
  readonly parts: readonly Part[];
}

/**
 * The api process. Nothing waits for PostgreSQL or Redis: it serves what it can. `file`: where `config` is from, and where
 * peers that are added while it runs are read.
 */
export function wireApi(config: Config, log: Logger, file?: string): WiredApi {
  const { site, domain, postgres, calls } = config;
  const metrics = new Metrics({ site });
  let draining = false;

  const redis = new RedisConnection({
    url: config.redis.url,
    site,
    commandTimeoutMs: config.redis.commandTimeoutMs,
    onState: (state) => log[state.state === 'up' ? 'info' : 'warn'](state, 'Redis'),
  });
  const logState = logDatabase(log, site);
  const database: Database = new Database({
    url: postgres.url,
    applicationName: 'lastcall-api',
    maxConnections: postgres.maxConnections,
    connectTimeoutMs: postgres.connectTimeoutMs,
    floor: new RedisPrimaryFloor(redis, site),
    onState: (state) => {
      logState(state);
      recording.databaseIs(state.state === 'up');
      if (state.state === 'up') void directory.warm().catch(() => {});
    },
  });
  const recording = new Recording({ config, service: 'api', database, redis, log, metrics });
  const { kept, writer } = recording;
  let configured = config.peers;
  const peers = openPeers(config, log);
  const takePeers = (read: Config) => {
    configured = read.peers;
    peers.setUrls(peerUrls(read, 'coordinatorUrl', 'replicatorUrl'));
  };
  const reader = new LastCallsReader({
    database,
    site,
    pending: writer,
    budgetMs: postgres.lookupBudgetMs,
    standIns: () => [...peers.all.values()],
    unproven: () => database.isUnproven,
  });
  const terminalChanges = new TerminalChanges();
  const watch: TerminalWatch = new TerminalWatch({
    database,
    applicationName: 'lastcall-api',
    onChange: (change) => {
      directory.changed(change);
      terminalChanges.note([change.terminalId]);
    },
    onUnheard: () => {
      terminalChanges.note([]);
      void directory.relearn().catch(() => {});
    },
  });
  const directory = new NamedTerminals({
    database,
    cache: new TerminalCache(redis, site),
    budgetMs: postgres.lookupBudgetMs,
    watch,
  });
  const tokens = new Tokens(config.api.tokens, systemClock, {
    read: () => readTokenHashes(database, postgres.lookupBudgetMs),
    noteUsed: (names) => noteTokensUsed(database, names),
  });
  const tokenChanges = new Listener({
    url: postgres.url,
    applicationName: 'lastcall-api-tokens',
    channel: 'lastcall_tokens',
    onNotify: () => void tokens.refresh(),
  });
  const failovers = new FailoverQueue(
    { site, url: config.redis.url, log },
    config.redis.commandTimeoutMs * 2,
  );
  const health: HealthOptions = {
    metrics,
    draining: () => draining,
    checks: {
      postgres: { required: false, check: () => databaseHealth(database) },
      redis: { required: false, check: () => stateCheck(redis.state) },
      journal: { required: false, check: () => recording.check() },
    },
  };
  const app = buildApp({
    site,
    domain,
    clock: systemClock,
    log,
    tokens,
    tls: readTls(config.api),
    limits: config.api,
    corsOrigins: config.api.corsOrigins,
    trustedProxies: config.api.trustedProxies,
    accessLog: config.api.accessLog,
    loginSeconds: config.api.consoleHours * 3_600,
    policy: {
      codes: featureCodes(config),
      features: featurePolicy(config),
      dialRules: dialRules(config),
      emergencyNumbers: calls.emergencyNumbers,
      allowedSkewMs: calls.allowedSkewMs,
    },
    database,
    directory,
    lookupBudgetMs: postgres.lookupBudgetMs,
    statementBudgetMs: postgres.statementBudgetMs,
    peers: peers.all,
    reader,
    writer,
    kept,
    alerts: new AlertBoard(redis, site),
    terminalChanges,
    bans: new BanBoard(redis, site),
    callOnce: new CallOnce({ redis, site }),
    enqueueFailover: (request) => failovers.add(request),
    compare: (repair) => compareConfiguredSites({ ...config, peers: configured }, repair),
    consoleSettings: consoleSettings(config),
    health,
  });

  const parts: Part[] = [
    { name: 'redis', start: () => redis.start(), stop: () => redis.close() },
    { name: 'database', start: () => void database.start().catch(() => {}), stop: () => database.close() },
    { name: 'recording', start: () => recording.start(), stop: () => recording.stop() },
    { name: 'terminals', start: () => watch.start(), stop: () => watch.stop() },
    { name: 'peers', start: () => peers.start(), stop: () => peers.close() },
    followConfig(file, takePeers, log),
    { name: 'tokens', start: () => tokenChanges.start(), stop: () => tokenChanges.close() },
    every('token reading', TOKENS_EVERY_MS, () => tokens.refresh()),
    every('audit trimming', TRIM_EVERY_MS, () => trimAuditLog(database, config.api.auditDays)),
    every('call records', TRIM_EVERY_MS, () => keepCallRecords(database, calls.recordDays)),
    every('expiry', TRIM_EVERY_MS, () => expireLastCalls(database, calls.retentionDays)),
    { name: 'failovers', stop: () => failovers.close() },
    {
      name: 'http',
      start: async () => {
        log.info({ address: await app.listen(config.api.listen) }, 'listening');
      },
      stop: async () => {
        draining = true;
        // Who takes longer than this to be answered is cut off.
        const limit = setTimeout(() => app.server.closeAllConnections(), config.api.drainSeconds * 1_000);
        await app.close();
        clearTimeout(limit);
      },
    },
  ];
  return { app, parts };
}

function readTls({ certificate, key }: Config['api']): ApiDeps['tls'] {
  return certificate === null || key === null
    ? null
    : { cert: readFileSync(certificate), key: readFileSync(key) };
}

/** What is done again and again; the next time makes up for one that failed. */
function every(name: string, everyMs: number, work: () => Promise<void>): Part {
  let first: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  const attempt = () => void work().catch(() => {});
  return {
    name,
    start: () => {
      first = setTimeout(attempt, Math.min(everyMs, FIRST_MS));
      timer = setInterval(attempt, everyMs);
    },
    stop: () => {
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}

function openPeers(config: Config, log: Logger): PeerDatabases {
  return new PeerDatabases({
    urls: peerUrls(config, 'coordinatorUrl', 'replicatorUrl'),
    open: (peer, url) => {
      const onState = logDatabase(log, peer);
      return new Database({ url, applicationName: 'lastcall-api', maxConnections: 2, onState });
    },
  });
}

function stateCheck(
  state: { readonly state: 'up' } | { readonly state: 'down'; readonly reason: string },
): CheckResult {
  return state.state === 'up' ? { state: 'up' } : { state: 'down', reason: state.reason };
}
