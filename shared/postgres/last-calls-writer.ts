import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';
import type { Queryable } from './database.ts';
import type { PendingLastCalls } from './last-calls-reader.ts';
import { isDatabaseLoss, translatePostgresError } from './postgres-error.ts';
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
  readonly done: Promise<Durability>;
  readonly settle: (result: Promise<Durability>) => void;
}

/**
 * Collects records for at most `maxDelayMs` or `maxRows` terminals, conflated per terminal, and writes them in one
 * statement; one batch is in flight while the next fills. A record is visible to reads from the moment `record` is
 * called until its batch is in the table (C8). Database away: to the journal (R12). Rejects only when neither takes it.
 */
export class LastCallsWriter implements PendingLastCalls {
  readonly #options: LastCallsWriterOptions;
  #filling: Batch | null = null;
  #flight: Batch | null = null;
  #timer: NodeJS.Timeout | null = null;

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
    return batch.done;
  }

  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    // What is here now, before waiting: a batch that lands meanwhile may be in neither the table nor the journal as read.
    const waiting = [this.#flight, this.#filling].flatMap((batch) =>
      terminalIds.flatMap((id) => batch?.rows.get(id) ?? []),
    );
    const rows = new Map(await this.#options.journal.pending(terminalIds));
    for (const row of waiting) {
      const before = rows.get(row.terminalId);
      rows.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
    }
    return rows;
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
    const written = this.#write([...batch.rows.values()]);
    const landed = () => {
      this.#flight = null;
      if (this.#filling !== null) this.#launch();
    };
    written.then(landed, landed);
    batch.settle(written);
  }

  async #write(rows: readonly LastCalls[]): Promise<Durability> {
    const { database, site, journal, budgetMs } = this.#options;
    try {
      await recordCalls(database, site, rows, 'live', budgetMs);
      return 'durable';
    } catch (cause) {
      const error = translatePostgresError(cause);
      if (!isDatabaseLoss(error) && error.retry !== 'transient') throw error;
      return (await journal.append(rows)) === 'redis' ? 'journalled' : 'in-memory';
    }
  }
}

function emptyBatch(): Batch {
  let settle: (result: Promise<Durability>) => void = () => {};
  const done = new Promise<Durability>((resolve) => {
    settle = resolve;
  });
  // Whoever does not wait for its record still must not bring the process down.
  done.catch(() => {});
  return { rows: new Map(), done, settle };
}
