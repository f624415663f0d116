import type { Database } from '../postgres/database.ts';
import { followDatabase } from '../postgres/database-reaction.ts';
import { LastCallsWriter } from '../postgres/last-calls/last-calls-writer.ts';
import { readPeersPosition } from '../postgres/last-calls/peers-position.ts';
import type { RedisConnection } from '../redis/connect.ts';
import { Journal } from '../redis/journal.ts';
import { KeptCalls } from '../ring/kept-calls.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config-schema.ts';
import type { CheckResult } from '../runtime/health.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { HeldTurns } from './held-turns.ts';

export interface RecordingOptions {
  readonly config: Config;
  readonly service: string;
  readonly database: Database;
  readonly redis: RedisConnection;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const ROUND_MS = 1_000;
/** Every so many rounds the rings of processes that died meanwhile are looked for. */
const TAKE_OVER_ROUNDS = 5;
/** Without a peer nobody says when a standby has it all: how long it is remembered then. */
const ALONE_MS = 600_000;

/**
 * How a process writes records so that none of them is lost: the ring file first, then the table, the site's journal
 * while there is none, and not let go before every peer holds it (R12, rules 30 and 31).
 */
export class Recording {
  readonly writer: LastCallsWriter;
  readonly kept: KeptCalls;
  readonly #options: RecordingOptions;
  readonly #journal: Journal;
  readonly #turns = new HeldTurns(ALONE_MS);
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #rounds = 0;
  #letGo = 0;
  #letGoAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: RecordingOptions) {
    this.#options = options;
    const { config, service, database, redis, log, metrics } = options;
    const { calls, journal, postgres, site } = config;
    this.kept = new KeptCalls({
      directory: journal.ringDirectory,
      bytes: journal.ringBytes,
      fdatasync: journal.fdatasync,
      site,
      service,
      log,
    });
    this.#journal = new Journal({
      redis,
      url: config.redis.url,
      site,
      appendTimeoutMs: config.redis.commandTimeoutMs,
      unwritten: () => this.kept.unwritten().map(({ row }) => row),
      apply: (rows) => this.writer.replay(rows),
      log,
    });
    this.writer = new LastCallsWriter({
      database,
      site,
      journal: this.#journal,
      kept: this.kept,
      clock: systemClock,
      maxDelayMs: calls.batchDelayMs,
      maxRows: calls.batchRows,
      budgetMs: postgres.statementBudgetMs,
    });
    this.#expose(metrics);
  }

  /** Throws `RING_UNUSABLE`. */
  async start(): Promise<void> {
    await this.kept.open();
    this.#journal.start();
    this.#timer = setInterval(() => {
      this.#round ??= this.#goRound().finally(() => {
        this.#round = null;
      });
    }, ROUND_MS);
  }

  /** A database found drains the journal and gets what it may lack (R12, S4); one lost does neither. */
  databaseIs(up: boolean): void {
    this.#turns.clear();
    const { log } = this.#options;
    followDatabase({ log, journal: this.#journal, writer: this.writer }, up);
  }

  check(): CheckResult {
    const { redis } = this.#journal.depth;
    const ringed = this.kept.unwrittenCount;
    if (performance.now() - this.#letGoAtMs < ALONE_MS)
      return { state: 'degraded', reason: `${this.#letGo} records let go before every peer held them` };
    if (redis === 0 && ringed === 0) return { state: 'up' };
    return {
      state: 'degraded',
      reason: `${redis} terminals journalled in Redis, ${ringed} in the ring file`,
    };
  }

  /** What is not in the table then stays in the ring file, for the next process. */
  async stop(): Promise<void> {
    await this.writer.drain();
    if (this.#timer) clearInterval(this.#timer);
    await this.#round;
    await this.#journal.close();
    if (this.#options.database.state.state === 'up') await this.writer.mend().catch(() => {});
    await this.kept.close();
  }

  /** What failed is written, and what every peer holds is let go. */
  async #goRound(): Promise<void> {
    const { log } = this.#options;
    this.#alarm();
    try {
      if (++this.#rounds % TAKE_OVER_ROUNDS === 0) await this.kept.takeOver();
      if (this.#options.database.state.state !== 'up') return;
      await this.writer.mend();
      if (this.kept.size > 0) await this.#letHeldGo();
    } catch (err) {
      log.debug({ err }, 'kept records not looked after');
    }
  }

  async #letHeldGo(): Promise<void> {
    const { config, database } = this.#options;
    const asked = this.#turns.ask(this.kept.endTurn());
    const position = await readPeersPosition(database, config.postgres.statementBudgetMs);
    const held = asked(position, performance.now());
    if (held !== null) this.kept.letGo(held);
  }

  #alarm(): void {
    const { letGo } = this.kept.counts;
    if (letGo === this.#letGo) return;
    this.#options.log.error(
      { rows: letGo - this.#letGo },
      'records let go before every peer held them: the ring file is full',
    );
    this.#letGo = letGo;
    this.#letGoAtMs = performance.now();
  }

  #expose(metrics: Metrics): void {
    metrics.gauge('journal_terminals', 'Terminals whose records wait for the table', ['kept'], (gauge) => {
      gauge.set({ kept: 'redis' }, this.#journal.depth.redis);
      gauge.set({ kept: 'ring' }, this.kept.unwrittenCount);
    });
    metrics.gauge('pending_records', 'Records on their way to the table', [], (gauge) =>
      gauge.set(this.writer.waiting),
    );
    metrics.gauge('ring_terminals', 'Terminals whose records the table or a peer may lack', [], (gauge) =>
      gauge.set(this.kept.size),
    );
    metrics.gauge('ring_used_bytes', 'Of the ring file, by records that stand', [], (gauge) =>
      gauge.set(this.kept.counts.usedBytes),
    );
    metrics.gauge('ring_let_go', 'Records let go for room before every peer held them', [], (gauge) =>
      gauge.set(this.kept.counts.letGo),
    );
    metrics.gauge('ring_refused', 'Records that the full ring file did not take', [], (gauge) =>
      gauge.set(this.kept.counts.refused),
    );
  }
}
