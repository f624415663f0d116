import { setTimeout as delay } from 'node:timers/promises';
import type { Source } from '../../domain/choose-freshest.ts';
import type { ForgetMark } from '../../domain/forget.ts';
import type { LastCalls } from '../../domain/last-calls.ts';
import type { Queryable } from '../database.ts';
import { Expiry } from '../expiry.ts';
import { type KnownLastCalls, readLastCalls, readOneSite, readSites } from './read-last-calls.ts';

/** This site's writes that no table has yet: in memory, or in the journal. One more source of the choice (C8). */
export interface PendingLastCalls {
  /**
   * The merged pending row of each terminal that has one. Throws when the place it is kept in cannot be read. A row must
   * stay here until every table read that began before its commit has ended.
   */
  pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>>;
  /** The part of it that this process holds itself, for when the rest cannot be read. */
  inMemory?(terminalIds: readonly number[]): ReadonlyMap<number, LastCalls>;
  /** What this process wrote lately, for when this site's table cannot be read: a peer's copy of it may lack that yet. */
  recent?(terminalIds: readonly number[]): ReadonlyMap<number, LastCalls>;
}

export interface LastCallsReaderOptions {
  readonly database: Queryable;
  readonly site: string;
  readonly pending: PendingLastCalls;
  /** Hard limit of one lookup, milliseconds (F1). */
  readonly budgetMs: number;
  /** Peers' databases, as of now: each holds a copy of every table, so one of them answers while none here can be read. */
  readonly standIns?: () => readonly Queryable[];
  /**
   * Whether the database was found so lately that it may still lack what a failover brings back from the peers: their
   * copies are sources then as well, so that no terminal's freshest date goes back (I2).
   */
  readonly unproven?: () => boolean;
}

interface Waiting {
  readonly terminalId: number;
  readonly resolve: (known: KnownLastCalls) => void;
}

type Tables = ReadonlyMap<number, KnownLastCalls>;
type PendingSources = (terminalId: number) => readonly Source[];

/** Of the budget, for all tables at once; what is left is for each alone, where one of them holds the others up. */
const JOINT_SHARE = 0.6;
const TOTAL_SHARE = 0.95;
/** Of the budget, for the tables here before the peers' copies are asked as well. */
const OWN_SHARE = 0.4;
const PEER_RETRY_MS = 25;
/** How long lookups wait for the statement before theirs, so that those of a busy moment share one. */
const COMPANY_MS = 2;
/** How long a table that held a lookup up is then left alone: few lookups pay for it, and few statements wait for it. */
const RETRY_MS = 1_000;

/**
 * Reads every source of a terminal's last calls within the budget. All lookups of one tick share a statement, and those
 * that come while one is under way wait for it, briefly, and share the next. Never
 * rejects: a source that cannot be read is in the result as unreadable, and the choice decides what that means (C6, C7).
 */
export class LastCallsReader {
  readonly #options: LastCallsReaderOptions;
  #waiting: Waiting[] = [];
  #underWay = 0;
  #company: NodeJS.Timeout | null = null;
  #sites: readonly string[] | null = null;
  #jointFrom = Number.NEGATIVE_INFINITY;
  readonly #heldUpUntil = new Map<string, number>();

  constructor(options: LastCallsReaderOptions) {
    this.#options = options;
  }

  read(terminalId: number): Promise<KnownLastCalls> {
    return new Promise((resolve) => {
      this.#waiting.push({ terminalId, resolve });
      if (this.#waiting.length > 1) return;
      if (this.#underWay === 0) setImmediate(() => this.#flush());
      else this.#company = setTimeout(() => this.#flush(), COMPANY_MS);
    });
  }

  #flush(): void {
    if (this.#company !== null) clearTimeout(this.#company);
    this.#company = null;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#underWay++;
    void this.#answer(waiting).finally(() => {
      this.#underWay--;
      if (this.#underWay === 0) this.#flush();
    });
  }

  async #answer(waiting: readonly Waiting[]): Promise<void> {
    const ids = [...new Set(waiting.map((lookup) => lookup.terminalId))];
    // Pending first: what lands in the table from here on is found in one of the two.
    const pendingRead = this.#readPending(ids);
    const [tables, pending] = await Promise.all([this.#readAnyTables(ids), pendingRead]);
    for (const { terminalId, resolve } of waiting) {
      const known = tables.get(terminalId) ?? { sources: [], marks: [] };
      const sources = [...known.sources, ...pending(terminalId), ...this.#recent(terminalId, known.sources)];
      resolve({ marks: known.marks, sources });
    }
  }

  #recent(terminalId: number, tables: readonly Source[]): Source[] {
    const { site, pending } = this.#options;
    if (!tables.some((source) => source.site === site && 'unreadable' in source)) return [];
    const row = pending.recent?.([terminalId]).get(terminalId);
    return row ? [{ site, pending: true, row }] : [];
  }

  async #readAnyTables(ids: readonly number[]): Promise<Tables> {
    const { budgetMs } = this.#options;
    const standIns = this.#options.standIns?.() ?? [];
    const reading = this.#readTables(ids);
    if (standIns.length === 0) return reading;
    if (this.#options.unproven?.() === true) {
      const copies = await firstCopies(standIns, ids, budgetMs * OWN_SHARE);
      const own = await reading;
      if (!isUnreadable(own)) return copies === null ? own : besides(own, copies);
    }
    // While the database is being lost its first lookups take long to fail; the peers must still have time to answer.
    const early = await Promise.race([reading, delay(budgetMs * OWN_SHARE, null)]);
    if (early !== null && !isUnreadable(early)) return early;
    const left = budgetMs * (TOTAL_SHARE - (early === null ? OWN_SHARE : 0));
    const asked = readCopies(standIns, ids, left);
    const own = await reading;
    const copies = isUnreadable(own) ? await asked : null;
    if (copies === null) return own;
    // The tables here stay in the answer as unreadable: what a copy has is used (C6), what it lacks is not "no data" (C7).
    return new Map([...own].map(([id, { sources }]) => [id, standInFor(sources, copies.get(id))]));
  }

  async #readTables(ids: readonly number[]): Promise<Tables> {
    const { database, budgetMs } = this.#options;
    const started = performance.now();
    const left = () => Math.max(20, budgetMs * TOTAL_SHARE - (performance.now() - started));
    if (started >= this.#jointFrom) {
      // Until it has worked, one lookup at a time tries it.
      if (this.#heldUpUntil.size > 0) this.#jointFrom = started + RETRY_MS;
      try {
        const known = await readLastCalls(database, ids, budgetMs * JOINT_SHARE);
        this.#jointFrom = Number.NEGATIVE_INFINITY;
        this.#heldUpUntil.clear();
        this.#learnSites(known);
        return known;
      } catch {
        // Each table alone, then.
      }
    }
    const sites = this.#sites ?? (await this.#askSites(left() / 2));
    if (sites === null) return unreadable(ids, this.#options.site, 'the sites are not known yet');
    return this.#readEachTable(sites, ids, left());
  }

  async #readEachTable(sites: readonly string[], ids: readonly number[], budgetMs: number): Promise<Tables> {
    const tables = await Promise.all(sites.map((site) => this.#readTable(site, ids, budgetMs)));
    return new Map(
      ids.map((id) => {
        const known = tables.map((table) => table.get(id) ?? { sources: [], marks: [] });
        const marks: readonly ForgetMark[] = known.flatMap((part) => part.marks);
        return [id, { sources: known.flatMap((part) => part.sources), marks }];
      }),
    );
  }

  /** A site is readable when its calls and its marks are: without the marks a forgotten number would show (C9). */
  async #readTable(site: string, ids: readonly number[], budgetMs: number): Promise<Tables> {
    const started = performance.now();
    if (started < (this.#heldUpUntil.get(site) ?? 0)) return unreadable(ids, site, 'held up a moment ago');
    try {
      return await readOneSite(this.#options.database, site, ids, budgetMs);
    } catch (error) {
      // Only what keeps lookups waiting: a server that refuses at once may be asked again at once.
      if (performance.now() - started > budgetMs / 2) {
        this.#heldUpUntil.set(site, performance.now() + RETRY_MS);
        this.#jointFrom = performance.now() + RETRY_MS;
      }
      return unreadable(ids, site, messageOf(error));
    }
  }

  async #readPending(ids: readonly number[]): Promise<PendingSources> {
    const { site, pending, budgetMs } = this.#options;
    const inMemory = pending.inMemory?.(ids);
    const expiry = new Expiry(budgetMs * TOTAL_SHARE);
    try {
      const rows = await expiry.race(pending.pending(ids));
      return (id) => [{ site, pending: true, row: rows.get(id) ?? null }];
    } catch (error) {
      const failed: Source = { site, pending: true, unreadable: messageOf(error) };
      return (id) => [failed, { site, pending: true, row: inMemory?.get(id) ?? null }];
    } finally {
      expiry.cancel();
    }
  }

  /** Asked once, and again when a row names a site that was added while running. */
  #learnSites(known: Tables): void {
    const sites = this.#sites;
    const seen = [...known.values()].flatMap((entry) => entry.sources.map((source) => source.site));
    if (sites === null || !seen.every((site) => sites.includes(site)))
      void this.#askSites(this.#options.budgetMs);
  }

  async #askSites(budgetMs: number): Promise<readonly string[] | null> {
    try {
      this.#sites = (await readSites(this.#options.database, budgetMs)).map((entry) => entry.site);
    } catch {
      // The next lookup asks again.
    }
    return this.#sites;
  }
}

/** The first peer to answer. One whose own primary moved unnoticed is found again within the budget: hence more than one try. */
async function readCopies(
  peers: readonly Queryable[],
  ids: readonly number[],
  budgetMs: number,
): Promise<Tables | null> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) return null;
    try {
      return await Promise.any(peers.map((peer) => readLastCalls(peer, ids, left)));
    } catch {
      await delay(Math.min(PEER_RETRY_MS, left));
    }
  }
}

/** Asked once: who does not answer at once holds up no lookup. */
function firstCopies(
  peers: readonly Queryable[],
  ids: readonly number[],
  budgetMs: number,
): Promise<Tables | null> {
  return Promise.any(peers.map((peer) => readLastCalls(peer, ids, budgetMs))).catch(() => null);
}

function besides(own: Tables, copies: Tables): Tables {
  return new Map(
    [...own].map(([id, { sources, marks }]) => {
      const copy = copies.get(id);
      return [
        id,
        { sources: [...sources, ...(copy?.sources ?? [])], marks: [...marks, ...(copy?.marks ?? [])] },
      ];
    }),
  );
}

function isUnreadable(tables: Tables): boolean {
  return [...tables.values()].every(
    ({ sources }) => sources.length > 0 && sources.every((source) => 'unreadable' in source),
  );
}

function standInFor(own: readonly Source[], copy: KnownLastCalls | undefined): KnownLastCalls {
  return { sources: [...own, ...(copy?.sources ?? [])], marks: copy?.marks ?? [] };
}

function unreadable(ids: readonly number[], site: string, reason: string): Tables {
  return new Map(ids.map((id) => [id, { sources: [{ site, unreadable: reason }], marks: [] }]));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
