import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { query } from '../../support/replication-pair.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Household } from './household.ts';
import { emptyTally, type Tally } from './tally.ts';

const MEMBERS = 3;

/** Households at both sites of a lab, who call at a steady rate. */
export class Town {
  readonly households: ReadonlyMap<string, readonly Household[]>;
  readonly #startedAt = performance.now();
  #tally = emptyTally();
  #calling: Promise<void>[] = [];
  readonly #stopping = new AbortController();
  #resting = new Set<string>();
  readonly #busy = new Map<string, number>();

  private constructor(households: ReadonlyMap<string, readonly Household[]>) {
    this.households = households;
  }

  static async settle(endpoints: Endpoints, householdsPerSite: number): Promise<Town> {
    const households = new Map<string, Household[]>();
    let next = 0;
    for (const [site, { sip }] of Object.entries(endpoints.sites)) {
      const settled: Household[] = [];
      for (let count = 0; count < householdsPerSite; count++) {
        settled.push(
          await Household.settle(endpoints.terminals.slice(next, next + MEMBERS), `sip:${sip.udp}`),
        );
        next += MEMBERS;
      }
      households.set(site, settled);
    }
    return new Town(households);
  }

  nowMs = (): number => performance.now() - this.#startedAt;

  /** Begins to call, `rate` calls a second at all sites together. */
  start(rate: number): void {
    const all = [...this.households].flatMap(([site, list]) =>
      list.map((household) => ({ site, household })),
    );
    setMaxListeners(all.length + 1, this.#stopping.signal);
    const everyMs = (1000 * all.length) / rate;
    this.#calling = all.map(({ site, household }, index) =>
      this.#keepCalling(site, household, everyMs, (index * everyMs) / all.length),
    );
  }

  /** A fresh tally from here on; returns it, to be read when the fault is over. */
  count(): Tally {
    this.#tally = emptyTally();
    return this.#tally;
  }

  /** No household of the site calls any more, and none has a call under way. */
  async rest(site: string): Promise<void> {
    this.#resting.add(site);
    await waitFor(() => (this.#busy.get(site) ?? 0) === 0, {
      what: `calls of site ${site} to end`,
      deadlineMs: 20_000,
    });
  }

  wake(site: string): void {
    this.#resting.delete(site);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#calling);
    await Promise.all([...this.households.values()].flat().map((household) => household.leave()));
  }

  /** Last calls of the model that the database does not show, once its journal has drained: each a lost record. */
  async lostAt(ownerUrl: string): Promise<string[]> {
    const rows = await query<{ terminal_id: string; last_dialed_call: string; last_received_call: string }>(
      ownerUrl,
      'SELECT terminal_id, last_dialed_call, last_received_call FROM lastcall.lastcalls_freshest',
    );
    const byTerminal = new Map(rows.map((row) => [Number(row.terminal_id), row]));
    const members = [...this.households.values()].flat().flatMap((household) => household.members);
    return members.flatMap(({ terminal, dialed, missed }) => {
      const row = byTerminal.get(terminal.terminalId);
      const lost = (name: string, expected: ReadonlySet<string>, found: string | undefined): string[] =>
        expected.size === 0 || (found !== undefined && expected.has(found))
          ? []
          : [`${terminal.number} ${name} ${[...expected].join(' or ')}, found ${found ?? 'nothing'}`];
      return [
        ...lost('dialed', dialed, row?.last_dialed_call),
        ...lost('missed', missed, row?.last_received_call),
      ];
    });
  }

  async #keepCalling(site: string, household: Household, everyMs: number, firstMs: number): Promise<void> {
    const { signal } = this.#stopping;
    await delay(firstMs, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) {
      const startedAt = performance.now();
      if (!this.#resting.has(site)) {
        this.#busy.set(site, (this.#busy.get(site) ?? 0) + 1);
        await household
          .call(this.#tally, this.nowMs)
          .finally(() => this.#busy.set(site, (this.#busy.get(site) ?? 1) - 1));
      }
      await delay(Math.max(5, everyMs - (performance.now() - startedAt)), undefined, { signal }).catch(
        () => undefined,
      );
    }
  }
}
