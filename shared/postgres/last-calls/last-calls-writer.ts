import { LastcallError } from '../../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../../domain/last-calls.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Queryable } from '../database.ts';
import { translatePostgresError } from '../postgres-error.ts';
import type { PendingLastCalls } from './last-calls-reader.ts';
import { type Dating, recordCalls } from './record-calls.ts';

/** Where the site's other processes see a record while the database is away. */
export interface WriteJournal {
  pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>>;
  /** Resolves with whether they see it now; when not, they will. */
  append(rows: readonly LastCalls[]): Promise<boolean>;
}

/** A terminal's kept row as of one moment. */
export interface KeptVersion {
  readonly terminalId: number;
  readonly version: number;
}

export interface KeptRow extends KeptVersion {
  readonly row: LastCalls;
}

/**
 * What keeps a record outside this process's memory, from before anybody hears of it until it is in the table and
 * every peer holds it (rules 30, 31). All of it happens at once: nothing here waits.
 */
export interface KeptRecords {
  /** Null when there is no room. */
  keep(row: LastCalls): KeptVersion | null;
  /** The table has what these versions added, could not take it now, has the whole rows, or can never take them. */
  written(versions: Iterable<KeptVersion>): void;
  failed(versions: Iterable<KeptVersion>): void;
  mended(versions: Iterable<KeptVersion>): void;
  drop(versions: Iterable<KeptVersion>): void;
  /** What was written may be lost: all of it counts as failed. */
  distrust(): void;
  unwritten(): readonly KeptRow[];
  find(terminalId: number): LastCalls | undefined;
  /** The row, when the table does not have all of it. */
  pending(terminalId: number): LastCalls | undefined;
}

/** `durable`: in the table. `journalled`: kept here and told to the site. `ringed`: kept here alone. Each survives this process. */
export type Durability = 'durable' | 'journalled' | 'ringed';

export interface LastCallsWriterOptions {
  readonly database: Queryable;
  readonly site: string;
  readonly journal: WriteJournal;
  readonly kept: KeptRecords;
  /** Which dates the records. */
  readonly clock: Clock;
  /** How long a record may wait for company, milliseconds. */
  readonly maxDelayMs: number;
  readonly maxRows: number;
  readonly budgetMs: number;
}

interface WriteBatch {
  readonly rows: Readonly<Record<Dating, Map<number, LastCalls>>>;
  readonly kept: KeptVersion[];
  readonly done: Promise<Landing>;
  readonly settle: (landing: Promise<Landing>) => void;
}

/** Where a batch ended, and which of its terminals' rows the database can never take. */
interface Landing {
  readonly durability: Durability;
  readonly refused: ReadonlyMap<number, LastcallError>;
}

const DATINGS = ['live', 'as-recorded'] as const;
const DURABLE: Landing = { durability: 'durable', refused: new Map() };

/**
 * Keeps each record, collects records for at most `maxDelayMs` or `maxRows` terminals, conflated per terminal, and writes
 * them in one statement a dating; one batch is in flight while the next fills. A record is visible to reads from the
 * moment `record` is called until its batch is in the table (C8). Database away: told to the site by the journal (R12), and
 * written later as recorded. Rejects with `JOURNAL_FULL` when neither the table nor the ring takes it; one record that is
 * not acceptable (`INVALID_VALUE`) spoils no other.
 */
export class LastCallsWriter implements PendingLastCalls {
  readonly #options: LastCallsWriterOptions;
  #filling: WriteBatch | null = null;
  #flight: WriteBatch | null = null;
  #timer: NodeJS.Timeout | null = null;
  #mending: Promise<void> | null = null;
  #losses = 0;

  constructor(options: LastCallsWriterOptions) {
    this.#options = options;
  }

  /** It is kept when this returns; the promise tells what became of it. */
  record(row: LastCalls, dating: Dating = 'live'): Promise<Durability> {
    const kept = this.#options.kept.keep(row);
    this.#filling ??= emptyBatch();
    const batch = this.#filling;
    if (kept !== null) batch.kept.push(kept);
    addTo(batch.rows[dating], row);
    if (this.#flight === null) {
      if (sizeOf(batch) >= this.#options.maxRows) this.#launch();
      else this.#timer ??= setTimeout(() => this.#launch(), this.#options.maxDelayMs);
    }
    const landed = batch.done.then(({ durability, refused }) => {
      const error = refused.get(row.terminalId);
      if (error) throw error;
      if (kept === null && durability !== 'durable') throw new LastcallError('JOURNAL_FULL');
      return durability;
    });
    // Whoever does not wait for its record still must not bring the process down.
    landed.catch(() => {});
    return landed;
  }

  /** Writes what the site's journal holds, perhaps another process's, with its own dates, and answers for it from now on. */
  async replay(rows: readonly LastCalls[]): Promise<void> {
    const { database, site, kept, budgetMs } = this.#options;
    const losses = this.#losses;
    const versions = rows.flatMap((row) => kept.keep(row) ?? []);
    try {
      await recordCalls(database, site, rows, 'as-recorded', budgetMs);
      if (losses === this.#losses) kept.written(versions);
      else kept.failed(versions);
    } catch (error) {
      if (translatePostgresError(error).code === 'INVALID_VALUE') kept.drop(versions);
      else kept.failed(versions);
      throw error;
    }
  }

  recent(terminalIds: readonly number[]): Map<number, LastCalls> {
    return found(terminalIds, (id) => this.#options.kept.find(id));
  }

  inMemory(terminalIds: readonly number[]): Map<number, LastCalls> {
    const rows = found(terminalIds, (id) => this.#options.kept.pending(id));
    // Those that there was no room for are here alone.
    for (const batch of [this.#flight, this.#filling])
      for (const dating of DATINGS)
        for (const id of terminalIds) {
          const row = batch?.rows[dating].get(id);
          if (row) addTo(rows, row);
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

  /** From now on whatever some peer may lack is a source of its own (C8): the next primary may not have it. */
  databaseLost(): void {
    this.#losses++;
    this.#options.kept.distrust();
  }

  /**
   * A primary is found, perhaps a promoted standby: writes, with its own dates, what it may lack. Newer entries and
   * forget marks win over it, so a primary that has everything is not changed (R12, S4). Also what failed for any other
   * reason: to be called again now and then.
   */
  databaseFound(): Promise<void> {
    const mending = this.#mend();
    this.#mending = mending;
    return mending;
  }

  /** As {@link databaseFound}, unless that still runs. */
  async mend(): Promise<void> {
    await (this.#mending ?? this.databaseFound());
  }

  async #mend(): Promise<void> {
    const { database, site, budgetMs, maxRows, kept } = this.#options;
    const losses = this.#losses;
    try {
      const rows = kept.unwritten();
      for (let at = 0; at < rows.length; at += maxRows) {
        const page = rows.slice(at, at + maxRows);
        const write = (part: readonly KeptRow[]) =>
          recordCalls(
            database,
            site,
            part.map(({ row }) => row),
            'as-recorded',
            budgetMs,
          );
        const refused = await refusedOf(page, write);
        // What was lost meanwhile may have taken these with it.
        if (losses !== this.#losses) return;
        kept.drop(refused.keys());
        kept.mended(page);
      }
    } finally {
      this.#mending = null;
    }
  }

  /** Records not yet in the table or the journal. */
  get waiting(): number {
    return [this.#filling, this.#flight].reduce((sum, batch) => sum + (batch ? sizeOf(batch) : 0), 0);
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
    const written = this.#write(batch);
    const landed = () => {
      this.#flight = null;
      if (this.#filling !== null) this.#launch();
    };
    written.then(landed, landed);
    batch.settle(written);
  }

  async #write(batch: WriteBatch): Promise<Landing> {
    const { kept } = this.#options;
    const losses = this.#losses;
    let landing = DURABLE;
    try {
      for (const dating of DATINGS)
        landing = weaker(landing, await this.#writeRows([...batch.rows[dating].values()], dating));
    } catch (error) {
      kept.failed(batch.kept);
      throw error;
    }
    kept.drop(batch.kept.filter(({ terminalId }) => landing.refused.has(terminalId)));
    if (landing.durability === 'durable' && losses === this.#losses) kept.written(batch.kept);
    else kept.failed(batch.kept);
    return landing;
  }

  async #writeRows(rows: readonly LastCalls[], dating: Dating): Promise<Landing> {
    const { database, site, journal, budgetMs, clock } = this.#options;
    if (rows.length === 0) return DURABLE;
    try {
      const refused = await refusedOf(rows, (part) =>
        recordCalls(database, site, part, dating, budgetMs, clock),
      );
      return {
        durability: 'durable',
        refused: new Map([...refused].map(([row, error]) => [row.terminalId, error])),
      };
    } catch {
      // Whatever is wrong with the database can be mended, and then these are written.
      return { ...DURABLE, durability: (await journal.append(rows)) ? 'journalled' : 'ringed' };
    }
  }
}

/** Writes the rows and returns those that the database can never take: one of them must hold up no other. Throws everything else. */
async function refusedOf<T>(
  rows: readonly T[],
  write: (rows: readonly T[]) => Promise<void>,
): Promise<ReadonlyMap<T, LastcallError>> {
  try {
    await write(rows);
    return new Map();
  } catch (cause) {
    const error = translatePostgresError(cause);
    if (error.code !== 'INVALID_VALUE') throw error;
    const [first] = rows;
    if (rows.length <= 1) return new Map(first === undefined ? [] : [[first, error]]);
    const middle = rows.length >> 1;
    const left = await refusedOf(rows.slice(0, middle), write);
    return new Map([...left, ...(await refusedOf(rows.slice(middle), write))]);
  }
}

function weaker(a: Landing, b: Landing): Landing {
  const { durability } = a.durability === 'durable' ? b : a;
  return { durability, refused: new Map([...a.refused, ...b.refused]) };
}

function found(
  terminalIds: readonly number[],
  find: (terminalId: number) => LastCalls | undefined,
): Map<number, LastCalls> {
  const rows = new Map<number, LastCalls>();
  for (const id of terminalIds) {
    const row = find(id);
    if (row) rows.set(id, row);
  }
  return rows;
}

function sizeOf({ rows }: WriteBatch): number {
  return rows.live.size + rows['as-recorded'].size;
}

function addTo(rows: Map<number, LastCalls>, row: LastCalls): void {
  const before = rows.get(row.terminalId);
  rows.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
}

function emptyBatch(): WriteBatch {
  let settle: (landing: Promise<Landing>) => void = () => {};
  const done = new Promise<Landing>((resolve) => {
    settle = resolve;
  });
  done.catch(() => {});
  const rows = { live: new Map(), 'as-recorded': new Map() };
  return { rows, kept: [], done, settle };
}
