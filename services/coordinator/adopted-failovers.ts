import type { Database } from '../../shared/postgres/database.ts';
import { Ledger } from './ledger.ts';
import type { FailoverRunner } from './runner.ts';
import type { UnattendedFailover } from './unattended.ts';

export interface AdoptedFailoversOptions {
  /** Every site's database; read at each use. */
  readonly sites: ReadonlyMap<string, string>;
  readonly database: (site: string, url: string) => Database;
  readonly runner: (ledger: Ledger) => FailoverRunner;
}

interface Foreign {
  readonly url: string;
  readonly database: Database;
  readonly runner: FailoverRunner;
  readonly stopping: AbortController;
}

/** Work on failovers that stand in another site's database, whose own coordinator does not. They stay written down there. */
export class AdoptedFailovers {
  readonly #options: AdoptedFailoversOptions;
  readonly #bySite = new Map<string, Foreign>();

  constructor(options: AdoptedFailoversOptions) {
    this.#options = options;
  }

  /** Returns whether the work has begun with this. */
  take({ at, id }: UnattendedFailover): boolean {
    const foreign = this.#at(at);
    if (!foreign || foreign.runner.isWorkingOn(id)) return false;
    // Rejected only by `stop`.
    foreign.runner.work(id).catch(() => undefined);
    return true;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#bySite.keys()].map((site) => this.#close(site)));
  }

  #at(site: string): Foreign | null {
    const url = this.#options.sites.get(site);
    const before = this.#bySite.get(site);
    if (before?.url === url && before) return before;
    if (before) void this.#close(site);
    if (url === undefined) return null;
    const database = this.#options.database(site, url);
    const stopping = new AbortController();
    // Rejected only by `stop`.
    void database.start(stopping.signal).catch(() => undefined);
    const foreign = { url, database, runner: this.#options.runner(new Ledger(database)), stopping };
    this.#bySite.set(site, foreign);
    return foreign;
  }

  async #close(site: string): Promise<void> {
    const foreign = this.#bySite.get(site);
    this.#bySite.delete(site);
    if (!foreign) return;
    foreign.stopping.abort();
    await foreign.runner.stop();
    await foreign.database.close();
  }
}
