import type { Source } from '../domain/choose-freshest.ts';
import type { LastCalls } from '../domain/last-calls.ts';
import type { Queryable } from './database.ts';
import { type KnownLastCalls, readLastCalls, readMarks, readOneSite, readSites } from './read-last-calls.ts';

/** This site's writes that no table has yet: in memory, or in the journal. One more source of the choice (C8). */
export interface PendingLastCalls {
  /** The merged pending row of each terminal that has one. Throws when the place it is kept in cannot be read. */
  pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>>;
}

export interface LastCallsReaderOptions {
  readonly database: Queryable;
  readonly site: string;
  readonly pending: PendingLastCalls;
  /** Hard limit of one lookup, milliseconds (F1). */
  readonly budgetMs: number;
}

interface Waiting {
  readonly terminalId: number;
  readonly resolve: (known: KnownLastCalls) => void;
}

/**
 * Reads every source of a terminal's last calls within the budget. All lookups of one tick share a statement. Never
 * rejects: a source that cannot be read is in the result as unreadable, and the choice decides what that means (C6, C7).
 */
export class LastCallsReader {
  readonly #options: LastCallsReaderOptions;
  #waiting: Waiting[] = [];
  #sites: readonly string[];

  constructor(options: LastCallsReaderOptions) {
    this.#options = options;
    this.#sites = [options.site];
  }

  read(terminalId: number): Promise<KnownLastCalls> {
    return new Promise((resolve) => {
      this.#waiting.push({ terminalId, resolve });
      if (this.#waiting.length === 1) setImmediate(() => void this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const ids = [...new Set(waiting.map((lookup) => lookup.terminalId))];
    const [tables, pending] = await Promise.all([this.#readTables(ids), this.#readPending(ids)]);
    for (const { terminalId, resolve } of waiting) {
      const known = tables.get(terminalId) ?? { sources: [], marks: [] };
      resolve({ marks: known.marks, sources: [...known.sources, pending(terminalId)] });
    }
  }

  /** Two thirds of the budget for all tables at once; what is left for each alone, where one of them holds the others up. */
  async #readTables(ids: readonly number[]): Promise<ReadonlyMap<number, KnownLastCalls>> {
    const { database, budgetMs } = this.#options;
    const started = performance.now();
    try {
      const known = await readLastCalls(database, ids, budgetMs * 0.6);
      void this.#learnSites(known);
      return known;
    } catch {
      const left = Math.max(20, budgetMs * 0.95 - (performance.now() - started));
      return this.#readEachTable(ids, left);
    }
  }

  async #readEachTable(ids: readonly number[], budgetMs: number): Promise<ReadonlyMap<number, KnownLastCalls>> {
    const { database } = this.#options;
    const [marks, ...tables] = await Promise.allSettled([
      readMarks(database, ids, budgetMs),
      ...this.#sites.map((site) => readOneSite(database, site, ids, budgetMs)),
    ]);
    return new Map(
      ids.map((id) => {
        const sources = this.#sites.map((site, index) => sourceOf(site, id, tables[index]));
        return [id, { sources, marks: marks.status === 'fulfilled' ? (marks.value.get(id) ?? []) : [] }];
      }),
    );
  }

  async #readPending(ids: readonly number[]): Promise<(terminalId: number) => Source> {
    const { site, pending } = this.#options;
    try {
      const rows = await pending.pending(ids);
      return (id) => ({ site, pending: true, row: rows.get(id) ?? null });
    } catch (error) {
      const unreadable = error instanceof Error ? error.message : String(error);
      return () => ({ site, pending: true, unreadable });
    }
  }

  /** A site seen in a row but not known yet was added while running. */
  async #learnSites(known: ReadonlyMap<number, KnownLastCalls>): Promise<void> {
    const seen = [...known.values()].flatMap((entry) => entry.sources.map((source) => source.site));
    if (this.#sites.length > 1 && seen.every((site) => this.#sites.includes(site))) return;
    const sites = await readSites(this.#options.database).catch(() => null);
    if (sites) this.#sites = sites.map((entry) => entry.site);
  }
}

function sourceOf(site: string, id: number, table: PromiseSettledResult<Map<number, unknown>> | undefined): Source {
  if (table?.status === 'fulfilled') return { site, row: (table.value.get(id) as LastCalls | undefined) ?? null };
  return { site, unreadable: table?.reason instanceof Error ? table.reason.message : 'not read' };
}
