import { Database } from '../../shared/postgres/database.ts';
import { databaseHealth, logDatabase } from '../../shared/postgres/database-reaction.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { PeerDatabases } from '../../shared/postgres/peer-databases.ts';
import { readSecrets } from '../../shared/postgres/secrets.ts';
import { TerminalWatch } from '../../shared/postgres/terminal-watch.ts';
import { Recording } from '../../shared/recording/recording.ts';
import { BanBoard } from '../../shared/redis/ban-board.ts';
import { RedisConnection } from '../../shared/redis/connect.ts';
import { Location } from '../../shared/redis/location.ts';
import { RedisPrimaryFloor } from '../../shared/redis/primary-floor.ts';
import { SecretCopies } from '../../shared/redis/secret-copies.ts';
import { TerminalCache } from '../../shared/redis/terminal-cache.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import type { Config } from '../../shared/runtime/config-schema.ts';
import type { HealthCheck } from '../../shared/runtime/health.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { Metrics } from '../../shared/runtime/metrics.ts';
import { peerUrls } from '../../shared/runtime/peer-urls.ts';
import type { CallMetrics } from './call-metrics.ts';
import { CallRecordWriter } from './call-record-writer.ts';
import { LastCallRecorder } from './last-call-recorder.ts';
import { SiteSecrets } from './site-secrets.ts';
import { SkewAlarm } from './skew-alarm.ts';
import { TerminalDirectory } from './terminal-directory.ts';

export interface SiteStoresOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly callMetrics: CallMetrics;
}

/** The site's stores: what call-control reads and writes in PostgreSQL, Redis and the ring file. */
export class SiteStores {
  readonly database: Database;
  readonly redis: RedisConnection;
  readonly copies: TerminalCache;
  readonly directory: TerminalDirectory;
  readonly location: Location;
  readonly reader: LastCallsReader;
  readonly recorder: LastCallRecorder;
  readonly callRecords: CallRecordWriter | null;
  readonly skew: SkewAlarm;
  readonly secrets: SiteSecrets;
  readonly #recording: Recording;
  readonly bans: BanBoard;
  readonly #watch: TerminalWatch;
  #revalidating: Promise<void> | null = null;
  #revalidation: NodeJS.Timeout | undefined;
  /** Peers' databases, read while this site's own is away. */
  readonly #standIns: PeerDatabases;
  readonly #log: Logger;
  #databaseTried = false;
  readonly #standInsTried = new Set<string>();

  constructor({ config, log, metrics, callMetrics }: SiteStoresOptions) {
    const { calls, postgres, site, sip } = config;
    this.#log = log;
    this.redis = this.#openRedis(config);
    this.database = this.#openDatabase(config);
    this.copies = new TerminalCache(this.redis, site);
    this.bans = new BanBoard(this.redis, site);
    this.secrets = new SiteSecrets({
      read: () => readSecrets(this.database),
      copies: new SecretCopies(this.redis, site),
      log,
    });
    this.location = new Location({ redis: this.redis, site, maxContacts: sip.maxContacts });
    const budgetMs = postgres.lookupBudgetMs;
    this.#watch = new TerminalWatch({
      database: this.database,
      applicationName: 'lastcall-call-control',
      onChange: (change) => void this.directory.changed(change),
      onUnheard: () => void this.#revalidate(),
    });
    this.directory = new TerminalDirectory({
      database: this.database,
      copies: this.copies,
      budgetMs,
      watch: this.#watch,
      onRemoved: (aor) => void this.location.change(aor, { forget: true }),
    });
    const { database, redis } = this;
    this.#recording = new Recording({ config, service: 'call-control', database, redis, log, metrics });
    const { writer } = this.#recording;
    this.#standIns = this.#openStandIns(config);
    this.reader = new LastCallsReader({
      database: this.database,
      site,
      pending: writer,
      budgetMs,
      standIns: () => [...this.#standIns.all.values()],
      unproven: () => this.database.isUnproven,
    });
    this.recorder = new LastCallRecorder({
      writer,
      clock: systemClock,
      log,
      onRecord: (group, kept) => callMetrics.record(group, kept),
    });
    this.callRecords =
      calls.recordDays === 0
        ? null
        : new CallRecordWriter({
            database,
            clock: systemClock,
            budgetMs: postgres.statementBudgetMs,
            maxRows: calls.batchRows,
            log,
          });
    this.skew = new SkewAlarm({
      clock: systemClock,
      allowedSkewMs: calls.allowedSkewMs,
      log,
      onAlarm: (source) => callMetrics.skewAlarm(source),
    });
    this.#expose(metrics);
  }

  get checks(): Readonly<Record<'postgres' | 'redis' | 'journal', HealthCheck>> {
    return {
      postgres: { required: false, check: () => databaseHealth(this.database) },
      redis: { required: false, check: () => this.redis.state },
      journal: { required: false, check: () => this.#recording.check() },
    };
  }

  /** True once the first attempt to find PostgreSQL, and the peers' that stand in for it, has ended, either way. */
  get databaseTried(): boolean {
    return (
      this.#databaseTried && [...this.#standIns.all.keys()].every((site) => this.#standInsTried.has(site))
    );
  }

  /** Begins to connect; waits for the ring file alone: SIP answers meanwhile. Throws `RING_UNUSABLE`. */
  async start(): Promise<void> {
    await this.#recording.start();
    this.redis.start();
    this.redis.onReady(() => void this.secrets.refresh());
    this.secrets.start();
    // Rejects only when closed.
    this.database.start().catch(() => {});
    this.#standIns.start();
    this.#watch.start();
    this.redis.onReady(() => void this.#revalidate());
    this.#revalidation = setInterval(() => void this.#revalidate(), REVALIDATE_MS).unref();
  }

  /** Peers that were added or removed while running. */
  setPeers(peers: Config['peers']): void {
    this.#standIns.setUrls(peerUrls({ peers }, 'replicatorUrl'));
  }

  /** Resolves when every record taken so far is in the table, the journal or the ring. */
  drain(): Promise<void> {
    return this.#recording.writer.drain();
  }

  async stop(): Promise<void> {
    this.secrets.stop();
    this.#watch.stop();
    clearInterval(this.#revalidation);
    await this.#recording.stop();
    await this.callRecords?.stop();
    this.bans.stop();
    await Promise.all([this.database.close(), this.#standIns.close()]);
    await this.redis.close();
  }

  /** Copies of terminals that changed while nobody listened serve no longer. Without PostgreSQL or Redis it is tried again later. */
  async #revalidate(): Promise<void> {
    if (this.database.state.state !== 'up' || this.redis.state.state !== 'up') return;
    this.#revalidating ??= this.directory.revalidate();
    await this.#revalidating.catch((err: unknown) => this.#log.debug({ err }, 'copies not compared'));
    this.#revalidating = null;
  }

  #openDatabase({ postgres, site }: Config): Database {
    const logState = logDatabase(this.#log, site);
    return new Database({
      url: postgres.url,
      applicationName: 'lastcall-call-control',
      maxConnections: postgres.maxConnections,
      connectTimeoutMs: postgres.connectTimeoutMs,
      floor: new RedisPrimaryFloor(this.redis, site),
      onState: (state) => {
        this.#databaseTried = true;
        logState(state);
        this.#recording.databaseIs(state.state === 'up');
        if (state.state === 'up') void this.secrets.refresh();
      },
    });
  }

  #openStandIns({ peers, postgres }: Config): PeerDatabases {
    const { connectTimeoutMs } = postgres;
    const applicationName = 'lastcall-call-control';
    return new PeerDatabases({
      open: (site, url) => {
        const onState = () => this.#standInsTried.add(site);
        return new Database({ url, applicationName, maxConnections: 2, connectTimeoutMs, onState });
      },
      urls: peerUrls({ peers }, 'replicatorUrl'),
    });
  }

  #openRedis({ redis, site }: Config): RedisConnection {
    return new RedisConnection({
      url: redis.url,
      site,
      commandTimeoutMs: redis.commandTimeoutMs,
      onState: (state) => {
        if (state.state === 'up') this.#log.info('Redis found');
        else this.#log.warn({ reason: state.reason }, 'Redis away: bindings are in memory only');
      },
    });
  }

  #expose(metrics: Metrics): void {
    metrics.gauge(
      'registered_terminals',
      'Addresses of record with live bindings known to this process',
      [],
      (gauge) => gauge.set(this.location.size),
    );
    metrics.gauge(
      'call_records_dropped',
      'Call records that were not written because PostgreSQL was away for long',
      [],
      (gauge) => gauge.set(this.callRecords?.dropped ?? 0),
    );
  }
}

/** What a swapped copy or a pooler that passes no notifications on has changed is known after this at the latest. */
const REVALIDATE_MS = 600_000;
