/** A site's coordinator: looks at every site once a round, tells what changed, and works on failovers. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type LastcallEvent, lastcallEvent } from '../../shared/domain/alert.ts';
import { Database, type PrimaryFloor } from '../../shared/postgres/database.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { journalStateKey } from '../../shared/redis/keys.ts';
import { RedisPrimaryFloor } from '../../shared/redis/primary-floor.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { climbingLevel, retry } from '../../shared/runtime/retry.ts';
import { AdoptedFailovers } from './adopted-failovers.ts';
import { asLastKnown, deriveEvents, type Round } from './alerts/derive.ts';
import { detectFailovers, promotionPatienceMs, type Sightings } from './detect.ts';
import { FailoverJobs } from './failover-jobs.ts';
import { DETECTED_BY, type FlowOptions } from './flow.ts';
import { describeFault } from './flow-fault.ts';
import { FormerPrimaries } from './former-primaries.ts';
import { type FailoverRequest, type FailoverRow, Ledger } from './ledger.ts';
import { type Observations, observe } from './observe.ts';
import { type FailoverEnd, FailoverRunner } from './runner.ts';
import type { CoordinatorLog, CoordinatorSettings } from './settings.ts';
import { SiteFloors } from './site-floors.ts';
import { SiteLink } from './site-link.ts';
import type { StepBoundary } from './steps.ts';
import { findUnattended } from './unattended.ts';

export interface CoordinatorOptions {
  /** The site whose coordinator this is. */
  readonly home: string;
  /** Every site's database as lastcall_coordinator, `home` included. */
  readonly sites: ReadonlyMap<string, string>;
  readonly redis: RedisConnection;
  readonly redisUrl: string;
  readonly settings: CoordinatorSettings;
  readonly allowedSkewMs: number;
  readonly log: CoordinatorLog;
  readonly compare: FlowOptions['compare'];
  /** Records that only this site's processes hold; null when none of them answers. */
  readonly journalInMemory?: () => Promise<number | null>;
  readonly tell: (event: LastcallEvent) => Promise<void>;
  readonly onBoundary?: ((boundary: StepBoundary) => void | Promise<void>) | undefined;
  readonly onEnded?: (row: FailoverRow, end: FailoverEnd) => void;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  /** Shared with the flows: a site that joins is there at once. */
  readonly #sites = new Map<string, string>();
  #links: readonly SiteLink[] = [];
  readonly #database: Database;
  readonly #ledger: Ledger;
  readonly #runner: FailoverRunner;
  readonly #adopted: AdoptedFailovers;
  readonly #jobs: FailoverJobs;
  readonly #floors: SiteFloors;
  readonly #former: FormerPrimaries;
  readonly #stopping = new AbortController();
  #sightings: Sightings = new Map();
  #unattended: Sightings = new Map();
  #round: Round | null = null;
  /** The last round, with what it could not see as it was seen before. */
  #known: Round | null = null;
  #watching: Promise<void> = Promise.resolve();
  #failures = 0;

  constructor(options: CoordinatorOptions) {
    const { home, sites, log, redisUrl } = options;
    const url = sites.get(home);
    if (url === undefined) throw new TypeError(`no database is named for site ${home}`);
    this.#options = options;
    this.setSites(sites);
    this.#floors = new SiteFloors((site) => new RedisPrimaryFloor(options.redis, home, site));
    this.#database = openDatabase(url, 4, this.#floors.of(home));
    this.#ledger = new Ledger(this.#database);
    this.#former = new FormerPrimaries({
      home,
      settings: options.settings,
      log,
      tell: (event) => this.#tell(event),
    });
    this.#runner = this.#runnerOn(this.#ledger);
    this.#adopted = new AdoptedFailovers({
      sites: this.#sites,
      database: (site, siteUrl) => openDatabase(siteUrl, 2, this.#floors.of(site)),
      runner: (ledger) => this.#runnerOn(ledger),
    });
    this.#jobs = new FailoverJobs({ site: home, redisUrl, log, work: (request) => this.#workOnJob(request) });
  }

  /** What the last round saw; null before the first. */
  get observations(): Observations | null {
    return this.#round?.seen ?? null;
  }

  get database(): Database {
    return this.#database;
  }

  /** Sites come and go with the configuration; those that stay keep their connections. */
  setSites(sites: ReadonlyMap<string, string>): void {
    const kept = this.#links.filter(({ site }) => sites.get(site) === this.#sites.get(site));
    for (const link of this.#links) if (!kept.includes(link)) void link.close();
    const added = [...sites].filter(([site]) => !kept.some((link) => link.site === site));
    const name = `lastcall-coordinator-${this.#options.home}`;
    this.#links = [...kept, ...added.map(([site, url]) => new SiteLink(site, url, name))];
    this.#sites.clear();
    for (const [site, url] of sites) this.#sites.set(site, url);
  }

  start(): void {
    // Rejected only by `stop`.
    void this.#database.start(this.#stopping.signal).catch(() => undefined);
    this.#jobs.start();
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('coordinator stopping'));
    await this.#watching;
    await Promise.all([this.#runner.stop(), this.#adopted.stop(), this.#former.stop()]);
    await this.#jobs.stop();
    await this.#database.close();
    await Promise.all(this.#links.map((link) => link.close()));
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#look();
        this.#adopt();
        await this.#takeUp();
        this.#failures = 0;
      } catch (err) {
        // The site's own database is away: flows wait with it.
        const waitMs = this.#pauseMs() * ++this.#failures;
        this.#options.log[climbingLevel(waitMs)]({ err }, 'cannot take up failovers');
      }
      await delay(this.#pauseMs(), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Shorter while the site has no primary, or a change stands that is about to be acted on. */
  #pauseMs(): number {
    const { home, settings } = this.#options;
    const isCalm = this.#sightings.size === 0 && this.#round?.seen.get(home)?.view.reachable !== false;
    return isCalm ? settings.watchMs : Math.min(settings.watchMs, promotionPatienceMs(settings));
  }

  async #look(): Promise<void> {
    const { home, settings, allowedSkewMs } = this.#options;
    const seen = await observe(this.#links, settings.lookDeadlineMs, this.#floors);
    const looked: Round = { seen, clockAt: systemClock(), ...(await this.#journalled()) };
    const round = asLastKnown(this.#known, looked);
    for (const event of deriveEvents(this.#known, round, { home, allowedSkewMs })) this.#tell(event);
    this.#known = round;
    this.#round = looked;
    this.#former.look(seen);
    const nowMs = performance.now();
    const { sightings, requests } = detectFailovers(seen, this.#sightings, {
      home,
      nowMs,
      settleMs: settings.settleMs,
    });
    this.#sightings = sightings;
    for (const { site, reason } of requests) {
      await this.#accept({ id: randomUUID(), site, reason, requestedBy: `${DETECTED_BY}${home}` });
    }
  }

  /** A job may come while PostgreSQL is away: the queue is where it is kept until then. */
  async #workOnJob(request: FailoverRequest): Promise<void> {
    const { signal } = this.#stopping;
    await retry(() => this.#ledger.insert(request), {
      signal,
      log: this.#options.log,
      what: 'keep a failover request',
    });
    await this.#runner.work(request.id);
  }

  /** Resolves once the request is kept; the work goes on. */
  async #accept(request: FailoverRequest): Promise<void> {
    await this.#ledger.insert(request);
    // Rejected only by `stop`.
    this.#runner.work(request.id).catch(() => undefined);
    void this.#jobs.add(request);
  }

  /** Also what a queue lost, or what was begun before this process was killed. */
  async #takeUp(): Promise<void> {
    for (const row of await this.#ledger.running()) {
      if (this.#runner.isWorkingOn(row.id)) continue;
      this.#options.log.info({ failover: row.id, site: row.site, reason: row.reason }, 'taking up failover');
      await this.#accept(row);
    }
  }

  /** What stands in another site's database and nobody works on. */
  #adopt(): void {
    const { home, settings, log } = this.#options;
    const { sightings, unattended } = findUnattended(this.#round?.seen ?? new Map(), this.#unattended, {
      home,
      nowMs: performance.now(),
      patienceMs: settings.settleMs,
    });
    this.#unattended = sightings;
    for (const failover of unattended) {
      if (this.#adopted.take(failover)) log.info({ ...failover }, 'taking up a failover of another site');
    }
  }

  #runnerOn(ledger: Ledger): FailoverRunner {
    const { settings, log, compare, onBoundary } = this.#options;
    return new FailoverRunner({
      sites: this.#sites,
      ledger,
      floors: this.#floors,
      settings,
      log,
      compare,
      onBoundary,
      onBegun: (row) =>
        this.#tell(lastcallEvent('failover-begun', row.site, { reason: row.reason, detail: { id: row.id } })),
      onEnded: (row, end, error) => void this.#ended(ledger, row, end, error),
    });
  }

  async #ended(ledger: Ledger, row: FailoverRow, end: FailoverEnd, error: string | null): Promise<void> {
    this.#options.onEnded?.(row, end);
    const { rows, marks } = await ledger.salvaged(row.id).catch(() => ({ rows: 0, marks: 0 }));
    const detail = { id: row.id, salvagedRows: rows, salvagedMarks: marks, error };
    this.#tell(lastcallEvent('failover-ended', row.site, { reason: end, detail }));
    if (rows + marks > 0) this.#tell(lastcallEvent('salvaged', row.site, { detail }));
    if (end === 'failed' && error?.includes('differ')) {
      this.#tell(lastcallEvent('compare-differences', row.site, { detail }));
    }
  }

  #tell(event: LastcallEvent): void {
    this.#options
      .tell(event)
      .catch((err: unknown) => this.#options.log.warn({ err: describeFault(err) }, 'event not told'));
  }

  async #journalled(): Promise<Pick<Round, 'journalled' | 'inMemory'>> {
    const { redis, home, journalInMemory } = this.#options;
    const [inRedis, inMemory] = await Promise.all([
      redis.state.state === 'up' ? redis.client.hlen(journalStateKey(home)).catch(() => null) : null,
      journalInMemory?.().catch(() => null) ?? null,
    ]);
    // Nobody can tell that it is empty while Redis is away.
    const journalled = inRedis === null && !inMemory ? null : (inRedis ?? 0) + (inMemory ?? 0);
    return { journalled, inMemory: inMemory ?? 0 };
  }
}

const openDatabase = (url: string, maxConnections: number, floor: PrimaryFloor): Database =>
  new Database({ url, applicationName: 'lastcall-coordinator', maxConnections, floor });
