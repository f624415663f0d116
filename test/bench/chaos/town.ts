import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { query } from '../../support/replication-pair.ts';
import { FreshestModel, type Judgement, type Look } from './freshest-model.ts';
import { MEMBERS } from './households.ts';
import { Looks } from './looks.ts';
import { Reports } from './reports.ts';
import { orList } from './tally.ts';
import { TownPhones } from './town-phones.ts';

/** How long a household waits between two calls. */
const PAUSE_S = 1;
/** Subscribers of the PBX that reports by REST. */
const REPORTED = 4;
/** Between two of one subscriber, and between two at one site; longer where fewer calls are made. */
const LEAST_REPORT_MS = 500;
const LEAST_LOOK_MS = 40;

/** Terminals that a lab needs for this many calls a second at all sites together. */
export const terminalsFor = (callsPerSecond: number): number =>
  MEMBERS * Math.ceil(PAUSE_S * callsPerSecond) + REPORTED;

/** A look that found somebody who cannot have been the freshest. */
export interface WrongLook extends Look {
  readonly expected: ReadonlySet<string | null>;
}

/** A row of `lastcalls_freshest`. */
interface Shown extends Record<string, unknown> {
  readonly id: string;
  readonly dialed: string | null;
  readonly dialedAt: Date | null;
  readonly missed: string | null;
  readonly missedAt: Date | null;
}

/** What was judged since the last time. */
export interface Findings {
  readonly calls: readonly Judgement[];
  readonly looks: number;
  readonly wrongLooks: readonly WrongLook[];
}

/**
 * Households that call through every site in turn, a PBX that reports to each, somebody who looks, and what the freshest
 * number of each subscriber is. A record counts from its answer on: the final response that the caller heard, 200 or 202.
 */
export class Town {
  readonly #endpoints: Endpoints;
  readonly #phones: TownPhones;
  readonly #reports: Reports;
  readonly #looks: Looks;
  readonly #reported: Endpoints['terminals'];
  readonly #model = new FreshestModel();
  #calls: Judgement[] = [];
  #looked: Look[] = [];

  private constructor(endpoints: Endpoints, phones: TownPhones, callsPerSecond: number) {
    this.#endpoints = endpoints;
    this.#phones = phones;
    this.#reported = endpoints.terminals.slice(-REPORTED);
    this.#reports = new Reports(
      endpoints,
      this.#reported,
      Math.max(LEAST_REPORT_MS, 20_000 / callsPerSecond),
    );
    this.#looks = new Looks(
      endpoints,
      [...phones.terminals, ...this.#reported],
      Math.max(LEAST_LOOK_MS, 2_000 / callsPerSecond),
    );
  }

  /** Everybody registers at every site. `folder` is for SIPp's files. */
  static async settle(endpoints: Endpoints, folder: string, callsPerSecond: number): Promise<Town> {
    const servers = new Map(Object.entries(endpoints.sites).map(([site, { sip }]) => [site, sip.udp]));
    const terminals = endpoints.terminals.slice(0, terminalsFor(callsPerSecond) - REPORTED);
    const phones = await TownPhones.start({ terminals, callsPerSecond, servers, folder });
    return new Town(endpoints, phones, callsPerSecond);
  }

  get sites(): string[] {
    return Object.keys(this.#endpoints.sites);
  }

  /** Calls, reports and looks begin. The calls go through these sites, as those of phones do whose other server is gone. */
  async begin(through: readonly string[] = this.sites): Promise<void> {
    await this.#phones.call(through);
    this.#reports.begin(through);
    this.#looks.begin();
  }

  /** Nobody calls any more; all calls have ended and are judged. */
  async rest(): Promise<void> {
    const [calls, reports, looks] = await Promise.all([
      this.#phones.rest(),
      this.#reports.end(),
      this.#looks.end(),
    ]);
    this.#calls.push(...this.#model.judge([...calls, ...reports]));
    this.#looked.push(...looks);
  }

  /** Of what has come to rest since this was asked last. */
  takeFindings(): Findings {
    const findings = {
      calls: this.#calls,
      looks: this.#looked.length,
      wrongLooks: this.#looked
        .map((look) => ({ ...look, expected: this.#model.expectedOf(look) }))
        .filter(({ found, expected }) => !expected.has(found)),
    };
    this.#calls = [];
    this.#looked = [];
    return findings;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#phones.stop(), this.#reports.end(), this.#looks.end()]);
  }

  /** Last calls of the model that the database does not show: each a lost record. */
  async lostAt(ownerUrl: string): Promise<string[]> {
    const rows = await query<Shown>(
      ownerUrl,
      `SELECT terminal_id AS id, last_dialed_call AS dialed, last_received_call AS missed,
         last_dialed_date AS "dialedAt", last_received_date AS "missedAt" FROM lastcall.lastcalls_freshest`,
    );
    const found = new Map(rows.map((row) => [Number(row.id), row]));
    const now = Date.now();
    return [...this.#phones.terminals, ...this.#reported].flatMap(({ terminalId, number }) =>
      (['dialed', 'missed'] as const).flatMap((group) => {
        const expected = this.#model.at(group, number, now);
        const row = found.get(terminalId);
        const shown = row?.[group] ?? null;
        if (expected.has(shown)) return [];
        const at = row?.[`${group}At`]?.toISOString().slice(11) ?? 'never';
        return [`${number} ${group} ${orList(expected)}, found ${orList([shown])} of ${at}`];
      }),
    );
  }
}
