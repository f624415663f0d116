import type { LastcallError } from '../../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../../domain/last-calls.ts';
import type { Queryable } from '../database.ts';
import { translatePostgresError } from '../postgres-error.ts';
import type { PendingLastCalls } from './last-calls-reader.ts';
import { RecentWrites } from './recent-writes.ts';
import { recordCalls } from './record-calls.ts';

/** Where a record goes while the database is away. */
export interface WriteJournal extends PendingLastCalls {
  /** Resolves with where the records are kept: `redis` survives this process, `memory` does not. Rejects when nowhere. */
  append(rows: readonly LastCalls[]): Promise<'redis' | 'memory'>;
}

/** `durable`: in the table. `journalled`: in Redis, for the table later. `in-memory`: both are away. */
export type Durability = 'durable' | 'journalled' | 'in-memory';

export interface LastCallsWriterOptions {
  readonly database: Queryable;
  readonly site: string;
  readonly journal: WriteJournal;
  /** How long a record may wait for company, milliseconds. */
  readonly maxDelayMs: number;
  readonly maxRows: number;
  readonly budgetMs: number;
}

interface Batch {
  readonly rows: Map<number, LastCalls>;
  readonly openedAt: number;
  readonly done: Promise<Landing>;
  readonly settle: (landing: Promise<Landing>) => void;
}

/** Where a batch ended, and which of its terminals' rows the database can never take. */
interface Landing {
  readonly durability: Durability;
  readonly refused: ReadonlyMap<number, LastcallError>;
}

const NONE_REFUSED: Landing['refused'] = new Map();

/**
 * Collects records for at most `maxDelayMs` or `maxRows` terminals, conflated per terminal, and writes them in one
 * statement; one batch is in flight while the next fills. A record is visible to reads from the moment `record` is
 * called until its batch is in the table (C8). Database away: to the journal (R12). Rejects only when neither takes it; one
 * record that is not acceptable (`INVALID_VALUE`) spoils no other.
 */
export class LastCallsWriter implements PendingLastCalls {
  readonly #options: LastCallsWriterOptions;
  #filling: Batch | null = null;
  #flight: Batch | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #recent = new RecentWrites();
  #losses = 0;
  /** How many of them are made good; while some are not, whether the database has everything is not known. */
  #lossesMended = 0;

  constructor(options: LastCallsWriterOptions) {
    this.#options = options;
  }

  record(row: LastCalls): Promise<Durability> {
    this.#filling ??= emptyBatch();
    const batch = this.#filling;
    const before = batch.rows.get(row.terminalId);
    batch.rows.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
    if (this.#flight === null) {
      if (batch.rows.size >= this.#options.maxRows) this.#launch();
      else this.#timer ??= setTimeout(() => this.#launch(), this.#options.maxDelayMs);
    }
    const landed = batch.done.then(({ durability, refused }) => {
      const error = refused.get(row.terminalId);
      if (error) throw error;
      return durability;
    });
    // Whoever does not wait for its record still must not bring the process down.
    landed.catch(() => {});
    return landed;
  }

  recent(terminalIds: readonly number[]): Map<number, LastCalls> {
    return new Map(
      terminalIds.flatMap((id) => {
        const row = this.#recent.find(id);
        return row ? [[id, row] as const] : [];
      }),
    );
  }

  inMemory(terminalIds: readonly number[]): Map<number, LastCalls> {
    const rows = this.#distrusted ? this.recent(terminalIds) : new Map<number, LastCalls>();
    for (const batch of [this.#flight, this.#filling]) {
      for (const id of terminalIds) {
        const row = batch?.rows.get(id);
        if (row) addTo(rows, row);
      }
    }
    return rows;
  }

  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    // What is here now, before waiting: a batch that lands meanwhile may be in neither the table nor the journal as read.
    const waiting = this.inMemory(terminalIds);
    const rows = new Map(await this.#options.journal.pending(terminalIds));
    for (const row of waiting.values()) addTo(rows, row);
    return rows;
  }

  /** From now on what was written lately is a source of its own (C8): the next primary may not have it. */
  databaseLost(): void {
    this.#losses++;
  }

  /**
   * A primary is found, perhaps a promoted standby: writes again, with its own dates, what was written lately. Newer
   * entries and forget marks win over it, so a primary that has everything is not changed (R12, S4).
   */
  async databaseFound(): Promise<void> {
    if (!this.#distrusted) return;
    const { database, site, budgetMs, maxRows } = this.#options;
    const losses = this.#losses;
    const rows = this.#recent.all();
    for (let at = 0; at < rows.length; at += maxRows) {
      await recordCalls(database, site, rows.slice(at, at + maxRows), 'as-recorded', budgetMs);
    }
    // Only those before the rewrite: what was lost during it may have taken the rewritten with it.
    this.#lossesMended = Math.max(this.#lossesMended, losses);
  }

  get #distrusted(): boolean {
    return this.#lossesMended < this.#losses;
  }

  /** Records not yet in the table or the journal. */
  get waiting(): number {
    return (this.#filling?.rows.size ?? 0) + (this.#flight?.rows.size ?? 0);
  }

  /** Writes what is left; resolves when nothing is pending. */
  async drain(): Promise<void> {
    while (this.#filling !== null || this.#flight !== null) {
      if (this.#flight === null) this.#launch();
      await this.#flight?.done.catch(() => {});
    }
  }

  #launch(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const batch = this.#filling;
    if (batch === null || this.#flight !== null) return;
    this.#filling = null;
    this.#flight = batch;
    const written = this.#write([...batch.rows.values()], performance.now() - batch.openedAt);
    const landed = () => {
      this.#flight = null;
      if (this.#filling !== null) this.#launch();
    };
    written.then(landed, landed);
    batch.settle(written);
  }

  async #write(rows: readonly LastCalls[], waitedMs: number): Promise<Landing> {
    const { database, site, journal, budgetMs } = this.#options;
    try {
      await recordCalls(database, site, rows, 'live', budgetMs, waitedMs);
      this.#recent.keep(rows);
      return { durability: 'durable', refused: NONE_REFUSED };
    } catch (cause) {
      const error = translatePostgresError(cause);
      if (error.code === 'INVALID_VALUE') return this.#writeHalves(rows, waitedMs, error);
      // Whatever else is wrong with the database can be mended, and then the journal drains.
      const kept = await journal.append(rows);
      return { durability: kept === 'redis' ? 'journalled' : 'in-memory', refused: NONE_REFUSED };
    }
  }

  async #writeHalves(rows: readonly LastCalls[], waitedMs: number, error: LastcallError): Promise<Landing> {
    const [first] = rows;
    if (rows.length <= 1 || first === undefined)
      return { durability: 'durable', refused: new Map(first ? [[first.terminalId, error]] : []) };
    const middle = rows.length >> 1;
    const left = await this.#write(rows.slice(0, middle), waitedMs);
    const right = await this.#write(rows.slice(middle), waitedMs);
    const weaker = left.durability === 'durable' ? right : left;
    return { durability: weaker.durability, refused: new Map([...left.refused, ...right.refused]) };
  }
}

function addTo(rows: Map<number, LastCalls>, row: LastCalls): void {
  const before = rows.get(row.terminalId);
  rows.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
}

function emptyBatch(): Batch {
  let settle: (landing: Promise<Landing>) => void = () => {};
  const done = new Promise<Landing>((resolve) => {
    settle = resolve;
  });
  done.catch(() => {});
  return { rows: new Map(), openedAt: performance.now(), done, settle };
}
