import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { query } from '../../support/replication-pair.ts';
import { FreshestModel } from './freshest-model.ts';
import { MEMBERS } from './households.ts';
import { SitePhones } from './site-phones.ts';
import { orList, type SiteJudgement } from './tally.ts';

/** How long a household waits between two calls. */
const PAUSE_S = 1;

/** A call-control writes records a moment after it has answered, together: so long, on a busy machine. */
const UNWRITTEN_MS = 500;

/** Terminals that a lab needs for this many calls a second at two sites together. */
export const terminalsFor = (callsPerSecond: number): number => 2 * MEMBERS * householdsFor(callsPerSecond);

const householdsFor = (callsPerSecond: number): number => Math.ceil((PAUSE_S * callsPerSecond) / 2);

/** The households of both sites of a lab, and what the freshest number of each subscriber is. */
export class Town {
  readonly #endpoints: Endpoints;
  readonly #phones: ReadonlyMap<string, SitePhones>;
  readonly #model = new FreshestModel();
  readonly #killedAtMs = new Map<string, number>();
  #judged: SiteJudgement[] = [];

  private constructor(endpoints: Endpoints, phones: ReadonlyMap<string, SitePhones>) {
    this.#endpoints = endpoints;
    this.#phones = phones;
  }

  /** Everybody registers at home. `folder` is for SIPp's files. */
  static async settle(endpoints: Endpoints, folder: string, callsPerSecond: number): Promise<Town> {
    const count = MEMBERS * householdsFor(callsPerSecond);
    const phones = new Map<string, SitePhones>();
    for (const [index, site] of Object.keys(endpoints.sites).entries()) {
      const terminals = endpoints.terminals.slice(index * count, (index + 1) * count);
      phones.set(
        site,
        await SitePhones.start({ site, terminals, callsPerSecond: callsPerSecond / 2, folder }),
      );
    }
    const town = new Town(endpoints, phones);
    for (const site of phones.keys()) await town.move(site, site);
    return town;
  }

  get sites(): string[] {
    return [...this.#phones.keys()];
  }

  /** The phones of site `of` register at another one, as phones do whose server is gone. */
  async move(of: string, to: string): Promise<void> {
    await this.#phonesOf(of).register(this.#sip(to));
  }

  /** The phones of site `of` begin to call through the server of the other one. */
  async call(of: string, through = of): Promise<void> {
    await this.#phonesOf(of).call(this.#sip(through));
  }

  /** The phones of the site call no more; all their calls have ended and are judged. */
  async rest(site: string): Promise<void> {
    const killedAtMs = this.#killedAtMs.get(site) ?? Number.NEGATIVE_INFINITY;
    const calls = (await this.#phonesOf(site).rest()).map((call) => ({
      ...call,
      doubted: call.endedMs <= killedAtMs && call.endedMs > killedAtMs - UNWRITTEN_MS,
    }));
    const judged = this.#model.judge(calls);
    this.#judged.push(...judged.map((judgement) => ({ ...judgement, site })));
  }

  /** The site's call-control is killed now, and what it has not written yet is gone. */
  killed(site: string): void {
    this.#killedAtMs.set(site, Date.now());
  }

  /** The calls judged since this was asked last. */
  takeJudged(): SiteJudgement[] {
    const judged = this.#judged;
    this.#judged = [];
    return judged;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#phones.values()].map((phones) => phones.stop()));
  }

  /** Last calls of the model that the database does not show: each a lost record. */
  async lostAt(ownerUrl: string): Promise<string[]> {
    const rows = await query<{ id: string; dialed: string | null; missed: string | null }>(
      ownerUrl,
      `SELECT terminal_id AS id, last_dialed_call AS dialed, last_received_call AS missed
         FROM lastcall.lastcalls_freshest`,
    );
    const found = new Map(rows.map((row) => [Number(row.id), row]));
    const now = Date.now();
    const terminals = [...this.#phones.values()].flatMap((phones) => phones.terminals);
    return terminals.flatMap(({ terminalId, number }) =>
      (['dialed', 'missed'] as const).flatMap((group) => {
        const expected = this.#model.at(group, number, now);
        const shown = found.get(terminalId)?.[group] ?? null;
        return expected.has(shown)
          ? []
          : [`${number} ${group} ${orList(expected)}, found ${orList([shown])}`];
      }),
    );
  }

  #sip(site: string): string {
    return this.#endpoints.sites[site]?.sip.udp ?? '';
  }

  #phonesOf(site: string): SitePhones {
    const phones = this.#phones.get(site);
    if (!phones) throw new Error(`no phones at site ${site}`);
    return phones;
  }
}
